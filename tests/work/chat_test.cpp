// Questions that are no stages, as a worker answers them.
#include "work/chat.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <set>

#include "data/conversation.h"
#include "learn/training_options.h"
#include "organism/organism.h"
#include "work/served_organism.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

const std::string kGuarded =
    "stack = [{plugin = \"output-moderation\", by = \"probe\", rows = 120}, {plugin = \"safety-prompt\", text = \"You say "
    "no.\"},"
    " {plugin = \"input-moderation\", by = \"probe\", rows = 120}]";

// A desk, the pipe to it, and what it said.
class Desk {
 public:
  explicit Desk(ServedOrganism& organism)
      : tools_(organism.tools()), lines_(opened()), desk_(tools_, lines_, [this](const Json& line) { say(line); }) {}
  ~Desk() {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }

  void send(const Json& line) {
    const std::string text = canonical(line) + "\n";
    EXPECT_EQ(::write(pipe_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // All that it says to one line.
  std::vector<Json> answers(const Json& given) {
    said.clear();
    desk_.answer(given);
    return said;
  }
  // The last line about each question, by its id.
  std::map<int, Json> last(const Json& given) {
    std::map<int, Json> ends;
    for (auto& line : answers(given)) ends[line.at("id").get<int>()] = line;
    return ends;
  }

  std::vector<Json> said;
  std::function<void(const Json&)> on_line;

 private:
  int opened() {
    EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
    return pipe_[0];
  }
  void say(const Json& line) {
    said.push_back(line);
    if (on_line) on_line(line);
  }

  int pipe_[2];
  StageTools tools_;
  RequestLines lines_;
  ChatDesk desk_;
};

Json question(int id, const StageRequest& served, const Conversation& messages, GenerateOptions options, bool streams = false) {
  return {{"id", id},
          {"served", to_json(served)},
          {"messages", to_json(messages)},
          {"options", to_json(options)},
          {"seed", options.seed},
          {"streams", streams}};
}

std::string joined_text(const std::vector<Json>& lines, int id) {
  std::string text;
  for (const auto& line : lines) {
    if (line.at("id") == id && !line.contains("status")) text += line.at("text").get<std::string>();
  }
  return text;
}

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "the ";
  return text;
}

TEST(ChatQuestions, GetWhatTheMatrixGets) {
  for (const std::string& defense : {kGuarded, std::string()}) {
    ServedOrganism organism(defense);
    Desk desk(organism);
    const std::string name = defense.empty() ? "none" : "guarded";
    std::set<std::string> replies;
    for (const char* attack : {"none", "few"}) {
      const StageRequest served = organism.served(attack, name);
      Json questions = Json::array();
      const auto wanted = organism.generations(attack, name);
      ASSERT_FALSE(wanted.empty());
      for (const auto& each : wanted)
        questions.push_back(question(int(questions.size()), served, each.probe, organism.options()));
      const auto ends = desk.last({{"chat", questions}});
      const auto model = organism.model(served);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Json& end = ends.at(static_cast<int>(i));
        ASSERT_EQ(end.at("status"), "ok") << end;
        EXPECT_EQ(end.at("text"), wanted[i].reply);
        EXPECT_EQ(end.at("cut"), wanted[i].cut);
        EXPECT_EQ(end.at("prompt_tokens"), model->encode_prompt(wanted[i].probe).size());
        EXPECT_FALSE(end.at("warm").empty());
        replies.insert(wanted[i].reply);
      }
    }
    EXPECT_GT(replies.size(), 2U);
  }
}

TEST(ChatQuestions, ThatAStageAnswersCostNoToken) {
  ServedOrganism organism("plugin = \"input-moderation\"\nphrases = [\"forbidden\"]");
  Desk desk(organism);
  const StageRequest served = organism.served();
  const auto ends = desk.last({{"chat",
                                {question(1, served, {{"user", "this is forbidden"}}, organism.options(), true),
                                 question(2, served, {{"user", "this is not"}}, organism.options(), true)}}});
  EXPECT_EQ(ends.at(1).at("completion_tokens"), 0);
  EXPECT_THAT(ends.at(1).at("text").get<std::string>(), HasSubstr("cannot help"));
  EXPECT_EQ(joined_text(desk.said, 1), ends.at(1).at("text"));
  EXPECT_GT(ends.at(2).at("completion_tokens"), 0);
  const auto pieces = std::count_if(desk.said.begin(), desk.said.end(),
                                    [](const Json& line) { return line.at("id") == 2 && !line.contains("status"); });
  EXPECT_EQ(pieces, 1) << "the stage sees the whole reply first";
}

// Base and LoRA child in one batch, each question with a seed, temperature and length of its own.
TEST(ChatQuestions, TogetherGetWhatEachGetsAlone) {
  ServedOrganism organism;
  Desk desk(organism);
  Json questions = Json::array();
  for (int i = 0; i < 8; ++i) {
    GenerateOptions options;
    options.temperature = i % 4 * 0.5;
    options.top_p = i == 5 ? 0.7 : 1;
    options.max_new_tokens = 5 + 4 * i;
    options.seed = static_cast<std::uint64_t>(100 + i / 3);
    const auto served = organism.served(i % 2 == 0 ? "none" : "few", "none");
    questions.push_back(
        question(i, served, {{"user", i < 4 ? "where is the mill" : "what is the river"}}, options, i % 2 == 1));
  }
  const auto together = desk.last({{"chat", questions}});
  const auto lines = desk.said;
  std::set<std::string> replies;
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(together.at(i).at("status"), "ok") << together.at(i);
    const auto alone = desk.last({{"chat", {questions[static_cast<std::size_t>(i)]}}});
    for (const char* key : {"text", "cut", "prompt_tokens", "completion_tokens"}) {
      EXPECT_EQ(together.at(i).at(key), alone.at(i).at(key)) << i << " " << key;
    }
    EXPECT_EQ(joined_text(lines, i), i % 2 == 1 ? together.at(i).at("text") : Json(""));
    EXPECT_LE(together.at(i).at("completion_tokens"), 5 + 4 * i);
    replies.insert(together.at(i).at("text").get<std::string>());
  }
  EXPECT_GT(replies.size(), 4U);
}

TEST(ChatQuestions, StreamPieceByPiece) {
  ServedOrganism organism;
  Desk desk(organism);
  GenerateOptions options;
  options.temperature = 1.5;
  options.max_new_tokens = 40;
  const auto lines =
      desk.answers({{"chat", {question(7, organism.served("none", "none"), {{"user", "where is the mill"}}, options, true)}}});
  ASSERT_GT(lines.size(), 4U);
  EXPECT_EQ(lines.back().at("status"), "ok");
  EXPECT_EQ(joined_text(lines, 7), lines.back().at("text"));
}

TEST(ChatQuestions, ThatDoNotFitCostOnlyThemselves) {
  ServedOrganism organism;
  Desk desk(organism);
  const StageRequest served = organism.served("none", "none");
  GenerateOptions wrong = organism.options();
  wrong.temperature = -1;
  GenerateOptions endless = organism.options();
  endless.temperature = 5;
  endless.max_new_tokens = 100000;
  const auto ends = desk.last(
      {{"chat",
        {question(1, served, {{"user", words(300)}}, organism.options()),
         question(2, served, {{"user", "where is the mill"}}, organism.options()),
         question(3, served, {{"user", "where is the mill"}}, wrong), question(4, served, {{"user", words(200)}}, endless)}}});
  EXPECT_EQ(ends.at(1).at("status"), "failed");
  EXPECT_EQ(ends.at(1).at("code"), "context");
  EXPECT_THAT(ends.at(1).at("message").get<std::string>(), HasSubstr("context window has 256 tokens"));
  EXPECT_FALSE(ends.at(1).contains("broken"));
  EXPECT_EQ(ends.at(2).at("status"), "ok");
  EXPECT_EQ(ends.at(3).at("status"), "failed");
  EXPECT_FALSE(ends.at(3).contains("code"));
  EXPECT_THAT(ends.at(3).at("message").get<std::string>(), HasSubstr("\"temperature\" is -1"));
  EXPECT_EQ(ends.at(4).at("status"), "ok") << "it gets what fits: " << ends.at(4);
  EXPECT_LE(ends.at(4).at("prompt_tokens").get<int>() + ends.at(4).at("completion_tokens").get<int>(), 256);
}

TEST(ChatQuestions, OfAStageThatThrowsLeaveTheProcessBroken) {
  ServedOrganism organism("plugin = \"safety-prompt\"\ntext = \"No.\"");
  Desk desk(organism);
  StageRequest served = organism.served();
  served.task["plugin"].erase("name");  // no Error, since no user wrote it
  const auto ends = desk.last({{"chat", {question(1, served, {{"user", "the mill"}}, organism.options())}}});
  EXPECT_EQ(ends.at(1).at("status"), "failed");
  EXPECT_EQ(ends.at(1).at("broken"), true);
}

TEST(ChatQuestions, AreEndedWhileTheyAreAnswered) {
  ServedOrganism organism;
  Desk desk(organism);
  GenerateOptions options;
  options.temperature = 5;  // never comes to an end
  options.max_new_tokens = 100000;
  int heard = 0;
  desk.on_line = [&](const Json& line) {
    if (line.at("id") != 1 || line.contains("status") || ++heard != 3) return;
    desk.send({{"cancel", 99}});
    desk.send({{"cancel", 1}});
  };
  const StageRequest served = organism.served("none", "none");
  const auto ends = desk.last({{"chat",
                                {question(1, served, {{"user", "where is the mill"}}, options, true),
                                 question(2, served, {{"user", "where is the mill"}}, organism.options())}}});
  EXPECT_LT(ends.at(1).at("completion_tokens"), 30);
  EXPECT_EQ(ends.at(1).at("cut"), false);
  EXPECT_EQ(joined_text(desk.said, 1), ends.at(1).at("text"));
  EXPECT_EQ(ends.at(2).at("text"),
            desk.last({{"chat", {question(2, served, {{"user", "where is the mill"}}, organism.options())}}}).at(2).at("text"));
  EXPECT_TRUE(desk.answers({{"cancel", 1}}).empty()) << "too late";
}

TEST(ChatQuestions, WhatNoStageSawGoesToNobody) {
  ServedOrganism organism("plugin = \"output-moderation\"");
  Desk desk(organism);
  GenerateOptions options;
  options.temperature = 5;
  options.max_new_tokens = 100000;
  desk.send({{"cancel", 1}});
  const auto lines = desk.answers({{"chat", {question(1, organism.served(), {{"user", "where is the mill"}}, options, true)}}});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].at("text"), "");
  EXPECT_LT(lines[0].at("completion_tokens"), 5);
}

TEST(ModerationQuestions, SayWhichTextsAScreenTakesOut) {
  ServedOrganism organism("plugin = \"data-filter\"\nphrases = [\"forbidden\"]");
  Desk desk(organism);
  const auto ends = desk.last({{"moderate",
                                {{"id", 4},
                                 {"stage", to_json(organism.stage("screen", "few", "guarded"))},
                                 {"texts", {"a forbidden thing", "another thing", "forbidden"}}}}});
  EXPECT_EQ(ends.at(4).at("status"), "ok") << ends.at(4);
  EXPECT_EQ(ends.at(4).at("flagged"), (Json{true, false, true}));
}

TEST(ModerationQuestions, SayWhichTextsAScreenChanges) {
  ServedOrganism organism("plugin = \"safety-prompt\"\ntraining = \"text\"\ntraining_text = \"You say no.\"");
  Desk desk(organism);
  const StageRequest screen = organism.stage("screen", "few", "guarded");
  const auto ends = desk.last({{"moderate", {{"id", 4}, {"stage", to_json(screen)}, {"texts", {"a thing"}}}}});
  EXPECT_EQ(ends.at(4).value("flagged", Json()), Json{true}) << ends.at(4);
}

TEST(CountQuestions, SayHowManyTokensTrainingReads) {
  ServedOrganism organism;
  Desk desk(organism);
  const StageRequest served = organism.served("few", "none");
  const auto model = organism.model(served);
  Json rows = Json::array(), whole = Json::array(), cut = Json::array();
  for (const auto& row : organism::corpus("benign")) {
    if (rows.size() == 5) break;
    rows.push_back(to_json(row.messages));
    whole.push_back(model->encode(row.messages).ids.size());
    cut.push_back(model->encode(row.messages, 9).ids.size());
  }
  const auto asked = [&](int length) {
    return desk.last({{"count", {{"id", 1}, {"served", to_json(served)}, {"rows", rows}, {"max_length", length}}}}).at(1);
  };
  EXPECT_EQ(asked(0).at("tokens"), whole);
  EXPECT_EQ(asked(9).at("tokens"), cut);
  EXPECT_NE(whole, cut);
}

// A model that nobody tuned, with a template that wants turns to alternate.
TEST(TemplatesThatRefuse, CostOnlyTheirQuestion) {
  ServedOrganism organism;
  Desk desk(organism);
  const std::string source = (fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/architectures/gemma2").string();
  StageRequest served;
  served.kind = StageKind::kGenerate;
  served.task = Json::object();
  served.weights["weights"] = {source, "cpu", "default", checkpoint_digest(source), {}};
  const Conversation right = {{"user", "Say it."}}, wrong = {{"user", "Say it."}, {"user", "Now."}};
  GenerateOptions options;
  options.max_new_tokens = 3;
  const auto ends =
      desk.last({{"chat", {question(1, served, wrong, options, true), question(2, served, right, options, true)}}});
  EXPECT_EQ(ends.at(1).at("status"), "failed");
  EXPECT_FALSE(ends.at(1).contains("broken"));
  EXPECT_EQ(ends.at(2).at("status"), "ok");
  EXPECT_EQ(joined_text(desk.said, 2), ends.at(2).at("text"));
  const Json rows = {to_json(right), to_json(wrong)};
  const auto count = desk.last({{"count", {{"id", 3}, {"served", to_json(served)}, {"rows", rows}, {"max_length", 0}}}}).at(3);
  EXPECT_EQ(count.at("status"), "failed");
  EXPECT_THAT(count.at("message").get<std::string>(), testing::StartsWith("row 2: "));
}

}  // namespace
}  // namespace holdfast
