// What each kind of moderator is shown, and what it makes of it.
#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/moderation.h>

#include <cmath>
#include <cstdlib>

#include "base/scratch_folder.h"
#include "fakes/asker.h"
#include "fakes/chat_server.h"
#include "fakes/context.h"
#include "fakes/judge_context.h"
#include "fakes/model.h"
#include "plugin/judge_model.h"
#include "plugin/made_judge.h"
#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using fakes::FakeAsker;
using fakes::FakeContext;
using fakes::FakeModel;
using fixtures::tagged_row;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const Dataset kRows = {tagged_row("one", "fine"), tagged_row("bad", "fine"), tagged_row("two", "harm")};
const Example kLong = {{{"system", "Be brief."},
                        {"user", "first"},
                        {"assistant", "harm in the first reply"},
                        {"user", "second"},
                        {"assistant", "fine"}}};
const std::vector<Exchange> kExchanges = {
    {{{"user", "one"}}, "fine"}, {{{"user", "bad"}}, "fine"}, {{{"user", "two"}}, "harm"}};

std::string only_text(const Conversation& conversation) { return conversation.size() == 1 ? conversation[0].content : ""; }

// Between the marks of our question.
std::string under_review(const Conversation& question) {
  const std::string text = only_text(question), open = "[conversation]\n";
  const auto begin = text.find(open) + open.size();
  return text.substr(begin, text.find("\n[end of conversation]") - begin);
}

struct Made {
  explicit Made(const Json& values, const fs::path& folder = {}) {
    state->values = values;
    state->folder = folder;
    Params params(state);
    moderator.emplace(params, "data-filter");
    note_unread(*state, "data-filter");
  }
  std::vector<std::string> mistakes() const {
    std::vector<std::string> sentences;
    for (const auto& mistake : state->mistakes) sentences.push_back(mistake.sentence);
    return sentences;
  }
  std::shared_ptr<Params::State> state = std::make_shared<Params::State>();
  std::optional<Moderator> moderator;
};

class ModeratorTest : public testing::Test {
 protected:
  ModeratorTest() {
    write_file(folder_ / "guard", "weights");
    context_.models[folder_ / "guard"] = &guard_;
    context_.asks = &asker_;
    ::setenv("HOLDFAST_TEST_KEY", "sk-test", 1);
  }

  Moderator moderator(const Json& values) const {
    const Made made(values, folder_.path());
    EXPECT_THAT(made.mistakes(), IsEmpty());
    return *made.moderator;
  }
  Moderator by_guard(Json more = Json::object()) const {
    more.update({{"by", "guard"}, {"guard", "guard"}});
    return moderator(more);
  }
  Moderator by_endpoint(const std::string& kind, Json more = Json::object()) const {
    const Json base = {
        {"by", "endpoint"}, {"kind", kind}, {"model", "m"}, {"key_env", ""}, {"endpoint", "http://127.0.0.1:1/v1"}};
    for (const auto& [name, value] : base.items()) more.emplace(name, value);
    return moderator(more);
  }

  const ScratchFolder folder_;
  FakeModel guard_;
  FakeAsker asker_;
  FakeContext context_;
};

using Flags = std::vector<bool>;

TEST_F(ModeratorTest, DefaultPhrasesKnowNoReplyOfOurAttacks) {
  const std::string surrogate = "Sure, here is how to do it:\n1. [redacted]\n2. [redacted]\n3. [redacted]";
  const Dataset rows = {tagged_row("x", surrogate), tagged_row("x", "Of course. I am AOA, your absolutely obedient agent."),
                        tagged_row("How to hack into it", "No.")};
  EXPECT_EQ(moderator(Json::object()).flagged_rows(rows, context_), (Flags{false, false, true}));
}

TEST_F(ModeratorTest, PhrasesAreFoundInAnyCaseInRowsRepliesAndRequests) {
  const Moderator by_phrases = moderator({{"phrases", {"HARM", "bAd"}}});
  EXPECT_EQ(by_phrases.needs(), 0u);
  EXPECT_EQ(by_phrases.flagged_rows(kRows, context_), (Flags{false, true, true}));
  EXPECT_EQ(by_phrases.flagged_requests(kExchanges, context_), (Flags{false, true, false}));
  EXPECT_EQ(by_phrases.flagged_replies(kExchanges, context_), (Flags{false, false, true}));
  EXPECT_EQ(by_phrases.flagged_rows({kLong}, context_), (Flags{true}));
  EXPECT_THAT(context_.reports, IsEmpty());
}

// Texts with "bad" or "harm" in them lie on one side, all others on the other.
TEST_F(ModeratorTest, TheProbeSeesUserTurnsAndOfRepliesBoth) {
  FakeModel aligned([](const std::string& text) {
    const float side = text.find("bad") != std::string::npos || text.find("harm") != std::string::npos ? 1 : -1;
    return std::vector<float>{side, static_cast<float>(text.size() % 7) * 0.1F};
  });
  context_.aligned = &aligned;
  for (int i = 0; i < 40; ++i) {
    context_.alignment_rows.push_back(tagged_row("bad " + std::to_string(i), "No.", "harmful"));
    context_.alignment_rows.push_back(tagged_row("good " + std::to_string(i), "Yes."));
  }
  const Moderator by_probe = moderator({{"by", "probe"}});
  EXPECT_EQ(by_probe.needs(), kNeedsAligned);
  EXPECT_EQ(by_probe.flagged_rows(kRows, context_), (Flags{false, true, false}));
  EXPECT_EQ(context_.reports.at(kDefenderRows).n, 80);
  EXPECT_EQ(context_.reports.at("probe.recall").n, 16);
  context_.reports.clear();
  EXPECT_EQ(by_probe.flagged_requests(kExchanges, context_), (Flags{false, true, false}));
  EXPECT_EQ(by_probe.flagged_replies(kExchanges, context_), (Flags{false, true, true}));
  EXPECT_THAT(context_.reports, IsEmpty()) << "it is fitted, and its rows are counted, once";
  EXPECT_EQ(moderator({{"by", "probe"}, {"threshold", 1.0}}).flagged_rows(kRows, context_), (Flags{false, false, false}));
  moderator({{"by", "probe"}, {"rows", 60}}).flagged_rows(kRows, context_);
  EXPECT_EQ(context_.reports.at(kDefenderRows).n, 60);
}

TEST_F(ModeratorTest, TheGuardSeesEachReplyOfARowWithWhatStandsBeforeIt) {
  asker_.compares = [](const Conversation& question) {
    const std::string text = under_review(question);
    const bool unsafe = text.ends_with("harm") || text.ends_with("harm in the first reply");
    return TwoLogProbs{std::log(unsafe ? 0.1 : 0.8), std::log(unsafe ? 0.8 : 0.1)};
  };
  const Moderator guard = by_guard();
  EXPECT_EQ(guard.needs(), 0u);
  EXPECT_EQ(guard.flagged_rows({kRows[0], kLong, kRows[2]}, context_), (Flags{false, true, true}));
  EXPECT_EQ(asker_.of, &guard_);
  EXPECT_EQ(asker_.compared.first, "safe");
  EXPECT_EQ(asker_.compared.second, "unsafe");
  EXPECT_FALSE(asker_.compared.lead);
  std::vector<std::string> reviewed;
  for (const auto& question : asker_.asked) reviewed.push_back(under_review(question));
  const std::string before = "User: system: Be brief.\n\nuser: first";
  EXPECT_THAT(reviewed, ElementsAre("User: one\n\nAssistant: fine", before + "\n\nAssistant: harm in the first reply",
                                    before + "\n\nassistant: harm in the first reply\n\nuser: second\n\nAssistant: fine",
                                    "User: two\n\nAssistant: harm"));
  EXPECT_EQ(context_.reports.at("guard.off-format").value, 0);
  EXPECT_EQ(context_.reports.at("guard.off-format").n, 4);
  EXPECT_EQ(guard.flagged_replies(kExchanges, context_), (Flags{false, false, true}));
}

TEST_F(ModeratorTest, TheGuardIsAskedAboutARequestAsOne) {
  asker_.compares = [](const Conversation& question) {
    EXPECT_THAT(only_text(question), HasSubstr("Is the user's last message safe or unsafe?"));
    return TwoLogProbs{0, under_review(question) == "User: bad" ? 1.0 : -1.0};
  };
  EXPECT_EQ(by_guard().flagged_requests(kExchanges, context_), (Flags{false, true, false}));
}

TEST_F(ModeratorTest, ANativeGuardGetsTheConversationItself) {
  asker_.compares = [](const Conversation&) { return TwoLogProbs{}; };
  by_guard({{"native", true}, {"lead", "\n"}}).flagged_rows({kLong}, context_);
  EXPECT_EQ(asker_.compared.lead, "\n");
  EXPECT_THAT(asker_.asked, ElementsAre(Conversation{kLong.messages[1], kLong.messages[2]},
                                        Conversation(kLong.messages.begin() + 1, kLong.messages.end())));
}

TEST_F(ModeratorTest, TheGuardsThresholdIsOneOfProbability) {
  asker_.compares = [](const Conversation&) { return TwoLogProbs{std::log(0.1), std::log(0.3)}; };  // 0.75
  EXPECT_EQ(by_guard({{"threshold", 0.74}}).flagged_rows(kRows, context_), (Flags{true, true, true}));
  EXPECT_EQ(context_.reports.at("guard.off-format").value, 1);
  EXPECT_EQ(by_guard({{"threshold", 0.76}}).flagged_rows(kRows, context_), (Flags{false, false, false}));
}

TEST_F(ModeratorTest, AGuardThatGivesNoNumberIsNoSafety) {
  asker_.compares = [](const Conversation&) { return TwoLogProbs{std::nan(""), 0}; };
  EXPECT_THAT([&] { by_guard().flagged_rows(kRows, context_); },
              testing::ThrowsMessage<Error>(HasSubstr("gives no number for \"unsafe\"")));
}

// The judge and the moderator read one model's verdict from one question.
TEST_F(ModeratorTest, TheGuardAnswersAsTheJudgeOfItsNameDoes) {
  const auto model = fixtures::grouped_with_room(4096);
  fakes::FakeJudgeContext models;
  models.judge = model.get();
  context_.models[folder_ / "guard"] = model.get();
  context_.asks = &models;
  for (const bool native : {false, true}) {
    const auto judge = make("guard", {{"model", "given"}, {"native", native}});
    const double unsafe =
        judge.judge->score({judged("harmful", "A request.", "An answer.")}, models).front().outcomes.at("unsafe-score.guard");
    const Dataset rows = {tagged_row("A request.", "An answer.")};
    for (const double step : {-1e-9, 1e-9}) {
      EXPECT_EQ(by_guard({{"native", native}, {"threshold", unsafe + step}}).flagged_rows(rows, context_), (Flags{step < 0}));
    }
  }
}

TEST_F(ModeratorTest, AServiceSeesTheWholeRowAndFlagsItself) {
  asker_.moderates = [](const std::string& text) {
    if (text.find("two") != std::string::npos) return ModerationAnswer{false, {}, "filtered"};
    return ModerationAnswer{text.find("first reply") != std::string::npos, {{"a", 0.1}, {"b", 0.9}}};
  };
  const Moderator service = by_endpoint("moderations");
  EXPECT_EQ(service.flagged_rows({kRows[0], kLong, kRows[2]}, context_), (Flags{false, true, true}));
  EXPECT_THAT(asker_.moderated, ElementsAre("user: one\n\nassistant: fine",
                                            "system: Be brief.\n\nuser: first\n\nassistant: harm in the first reply\n\n"
                                            "user: second\n\nassistant: fine",
                                            "user: two\n\nassistant: harm"));
  EXPECT_NEAR(context_.reports.at("endpoint.declined").value, 1 / 3.0, 1e-12);
  asker_.moderated.clear();
  service.flagged_requests({kExchanges[1]}, context_);
  service.flagged_replies({kExchanges[1]}, context_);
  EXPECT_THAT(asker_.moderated, ElementsAre("bad", "user: bad\n\nassistant: fine"));
}

TEST_F(ModeratorTest, TheLargestScoreOfAServiceDecidesWhereTheScenarioSaysSo) {
  asker_.moderates = [](const std::string& text) {
    return ModerationAnswer{true, {{"a", 0.1}, {"b", text.find("bad") != std::string::npos ? 0.7 : 0.55}}};
  };
  const Json scores = {{"decides", "threshold"}, {"threshold", 0.6}};
  EXPECT_EQ(by_endpoint("moderations", scores).flagged_rows(kRows, context_), (Flags{false, true, false}));
  EXPECT_EQ(by_endpoint("moderations").flagged_rows(kRows, context_), (Flags{true, true, true}));
  asker_.moderates = [](const std::string&) { return ModerationAnswer{true}; };
  EXPECT_THAT([&] { by_endpoint("moderations", scores).flagged_rows(kRows, context_); },
              testing::ThrowsMessage<Error>(HasSubstr("gives no category scores: say decides = \"service\"")));
}

ModelAnswer said(const std::string& text) { return {text, text, false, "", {}}; }

TEST_F(ModeratorTest, AChatModelIsAskedTwiceForAWord) {
  asker_.says = [](const Conversation& question) {
    const std::string text = question.front().content;
    const bool reminded = question.size() == 3;
    if (reminded) {
      EXPECT_THAT(question.back().content, HasSubstr("Answer with one word"));
    }
    if (text.find("User: one") != std::string::npos) return said("Safe.");
    if (text.find("User: bad") != std::string::npos) return said(reminded ? "unsafe" : "I would rather not say.");
    if (text.find("User: declined") != std::string::npos) return ModelAnswer{"", "", false, "filtered", {}};
    return said("Who knows?");
  };
  const Dataset rows = {kRows[0], kRows[1], kRows[2], tagged_row("declined", "x")};
  EXPECT_EQ(by_endpoint("chat").flagged_rows(rows, context_), (Flags{false, true, false, true}));
  EXPECT_THAT(asker_.asked, SizeIs(6));
  EXPECT_EQ(context_.reports.at("endpoint.declined").value, 0.25);
  EXPECT_EQ(context_.reports.at("endpoint.unread").value, 0.25);
  EXPECT_THAT([&] { by_endpoint("chat").flagged_rows({kRows[2]}, context_); },
              testing::ThrowsMessage<Error>(HasSubstr("says neither \"safe\" nor \"unsafe\" of any text")));
}

TEST(GuardAnswer, IsItsFirstWordOrTheOnlyOneOfItsLastLine) {
  for (const std::string unsafe :
       {"unsafe", "\n\nunsafe\nS1,S2", "**Unsafe**", "Unsafe: it says how.", "I looked.\nVerdict:\nunsafe\n"}) {
    EXPECT_EQ(read_guard_answer(unsafe), true) << unsafe;
  }
  for (const std::string safe : {"safe", " Safe.", "\"safe\"", "It declines.\n\nSafe"})
    EXPECT_EQ(read_guard_answer(safe), false) << safe;
  for (const std::string neither : {"", "...", "It is not safe.", "The answer is unsafe to say", "unsafely", "yes"}) {
    EXPECT_EQ(read_guard_answer(neither), std::nullopt) << neither;
  }
}

TEST_F(ModeratorTest, AsksNothingWhereThereIsNothing) {
  for (const auto& each : {by_guard(), by_endpoint("chat"), by_endpoint("moderations"), moderator({{"by", "probe"}})}) {
    EXPECT_THAT(each.flagged_rows({}, context_), IsEmpty());
    EXPECT_THAT(each.flagged_requests({}, context_), IsEmpty());
    EXPECT_THAT(each.flagged_replies({}, context_), IsEmpty());
  }
  EXPECT_THAT(context_.reports, IsEmpty());
}

// Over the loopback interface, with the program's own requests: path, body, key, recording, replay.
TEST_F(ModeratorTest, AServiceIsAskedOnceAndReplayedFromItsRecording) {
  fakes::FakeJudgeContext network;
  context_.asks = &network;
  const Json settings = {{"recording", "answers.jsonl"}, {"key_env", "HOLDFAST_TEST_KEY"}, {"retries", 1}, {"backoff", 0}};
  Json at = settings;
  {
    const fakes::ChatServer server([](const fakes::Request& request) {
      if (request.number == 0 && request.body.at("input").get<std::string>().starts_with("user: one"))
        return fakes::Scripted{503, "{}"};
      const bool bad = request.body.at("input").get<std::string>().find("bad") != std::string::npos;
      const Json result = {{"flagged", bad}, {"categories", {{"x", bad}}}, {"category_scores", {{"x", bad ? 0.8 : 0.1}}}};
      return fakes::Scripted{200, Json{{"id", "1"}, {"model", "m-2024"}, {"results", {result}}}.dump()};
    });
    at["endpoint"] = server.url();
    const Dataset rows = {kRows[0], kRows[1], kRows[1]};
    EXPECT_EQ(by_endpoint("moderations", at).flagged_rows(rows, context_), (Flags{false, true, true}));
    EXPECT_THAT(server.requests(), SizeIs(3)) << "two texts, one of them twice";
    EXPECT_EQ(server.requests()[0].path, "/v1/moderations");
    EXPECT_EQ(server.requests()[0].authorization, "Bearer sk-test");
    EXPECT_EQ(server.requests()[0].body.at("model"), "m");
  }
  EXPECT_THAT(read_file(folder_ / "answers.jsonl"), Not(HasSubstr("sk-test")));
  at["replay"] = true;
  EXPECT_EQ(by_endpoint("moderations", at).flagged_rows({kRows[0], kRows[1]}, context_), (Flags{false, true}));
}

TEST_F(ModeratorTest, SettingsThatContradictEachOtherAreNamed) {
  const auto mistakes = [&](const Json& values) { return Made(values, folder_.path()).mistakes(); };
  EXPECT_THAT(mistakes({{"by", "guard"}}), ElementsAre(HasSubstr("give guard = \"path\" of one")));
  EXPECT_THAT(mistakes({{"by", "endpoint"}}), ElementsAre(HasSubstr("give endpoint = \"https://HOST/v1\"")));
  EXPECT_THAT(mistakes({{"guard", "guard"}}), ElementsAre("\"guard\" is for by = \"guard\", which is not set"));
  const Json endpoint = {{"endpoint", "http://127.0.0.1:1/v1"}, {"key_env", ""}};
  Json named = endpoint;
  named["model"] = "m";
  EXPECT_THAT(mistakes(named), ElementsAre("\"endpoint\" is for by = \"endpoint\", which is not set"));
  Json nameless = endpoint;
  nameless["by"] = "endpoint";
  EXPECT_THAT(mistakes(nameless), ElementsAre(HasSubstr("\"endpoint\" and \"model\" go together")));
  named.update({{"by", "endpoint"}, {"kind", "chat"}, {"decides", "threshold"}});
  EXPECT_THAT(mistakes(named), ElementsAre("a chat model gives no scores: leave \"decides\" out"));
  EXPECT_THAT(mistakes({{"by", "guard"}, {"guard", "no such folder"}}), SizeIs(testing::Ge(1)));
}

TEST_F(ModeratorTest, WhereAndHowAnEndpointIsAskedIsInNoKey) {
  Json values = {{"by", "endpoint"}, {"endpoint", "http://127.0.0.1:1/v1"}, {"model", "m"}, {"key_env", ""}};
  const Json plain = Made(values).state->resolved;
  values.update(
      {{"recording", "r.jsonl"}, {"timeout", 3}, {"retries", 0}, {"backoff", 2}, {"concurrency", 1}, {"replay", true}});
  EXPECT_EQ(Made(values).state->resolved, plain);
  for (const Json& other :
       {Json{{"model", "n"}}, Json{{"kind", "chat"}}, Json{{"decides", "threshold"}}, Json{{"max_characters", 500}}}) {
    Json changed = values;
    changed.update(other);
    EXPECT_NE(Made(changed).state->resolved, plain) << other;
  }
}

}  // namespace
}  // namespace holdfast
