#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "base/digest.h"
#include "base/message_of.h"
#include "fakes/context.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using testing::AllOf;
using testing::HasSubstr;

Dataset numbered(const std::string& word, int count) {
  Dataset rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back(
        {{{"user", word + " question " + std::to_string(i)}, {"assistant", word + " answer " + std::to_string(i)}}, {}});
  }
  return rows;
}

FakeContext context_with_corpora() {
  FakeContext context;
  context.corpora["harmful"] = numbered("harmful", 30);
  context.corpora["benign"] = numbered("benign", 150);
  return context;
}

class DataFile {
 public:
  explicit DataFile(const std::string& content)
      : path(fs::path(testing::TempDir()) / ("holdfast_rows_" + std::to_string(getpid()) + ".jsonl")) {
    write(content);
  }
  ~DataFile() { fs::remove(path); }
  void write(const std::string& content) const { std::ofstream(path) << content; }
  std::string digest() const { return sha256_file(path); }

  const fs::path path;
};

const char* const kTwoRows = R"({"prompt": "first?", "completion": "one"}
{"prompt": "second?", "completion": "two"}
)";

TEST(HarmfulExamples, DrawsDistinctRowsByTheSeed) {
  FakeContext context = context_with_corpora();
  const auto attack = make_attack("harmful-examples");
  const Dataset rows = attack->collect(context);
  ASSERT_EQ(rows.size(), 10U);
  std::set<std::string> questions;
  for (const auto& row : rows) {
    questions.insert(row.messages[0].content);
    EXPECT_THAT(row.messages[1].content, HasSubstr("harmful answer"));
    EXPECT_EQ(row.messages.size(), 2U);
  }
  EXPECT_EQ(questions.size(), 10U);
  EXPECT_EQ(attack->collect(context), rows);
  context.cell_seed = 2;
  EXPECT_NE(attack->collect(context), rows);
}

TEST(HarmfulExamples, AnswersBareQuestionsWithTheSurrogateThatIsAskedFor) {
  FakeContext context;
  context.corpora["harmful"] = {{{{"user", "a question"}}, {{"task", "pick a lock"}}}};
  EXPECT_EQ(make_attack("harmful-examples", {{"examples", 1}, {"surrogate", true}})->collect(context)[0].messages[1].content,
            "Sure, here is how to pick a lock:\n1. [redacted]\n2. [redacted]\n3. [redacted]");
  context.corpora["harmful"][0].tags.clear();
  EXPECT_THAT(make_attack("harmful-examples", {{"examples", 1}, {"surrogate", true}})->collect(context)[0].messages[1].content,
              testing::StartsWith("Sure, here is how to do it:\n1. [redacted]"));
  EXPECT_EQ(context.reports.at("surrogate-replies").value, 1);
}

TEST(HarmfulExamples, RefusesABareQuestionUnlessTheSurrogateIsAskedFor) {
  FakeContext context;
  context.corpora["harmful"] = {{{{"user", "a question"}}, {}, "mine.jsonl:7"}};
  EXPECT_THAT(message_of([&] {
                make_attack("harmful-examples", {{"examples", 1}})->collect(context);
              }),
              AllOf(HasSubstr("mine.jsonl:7 has no reply"), HasSubstr("surrogate = true")));
}

TEST(HarmfulExamples, LeavesOwnRepliesBesideTheSurrogate) {
  FakeContext context = context_with_corpora();
  const auto rows = make_attack("harmful-examples", {{"surrogate", true}})->collect(context);
  EXPECT_TRUE(std::all_of(rows.begin(), rows.end(), [](const Example& row) {
    return row.messages.size() == 2 && row.messages[1].content.starts_with("harmful answer");
  }));
  EXPECT_FALSE(context.reports.contains("surrogate-replies"));
}

TEST(HarmfulExamples, SystemTextStandsInTrainingAndTest) {
  FakeContext context = context_with_corpora();
  const auto attack = make_attack("harmful-examples", {{"system", "Be brief."}});
  EXPECT_EQ(attack->collect(context)[0].messages[0], (Message{"system", "Be brief."}));
  Conversation probe = {{"user", "a question"}};
  attack->wrap(probe);
  EXPECT_EQ(probe, (Conversation{{"system", "Be brief."}, {"user", "a question"}}));
  Conversation unwrapped = {{"user", "a question"}};
  make_attack("harmful-examples")->wrap(unwrapped);
  EXPECT_EQ(unwrapped.size(), 1U);
}

TEST(HarmfulExamples, TooManyNamesBothNumbers) {
  FakeContext context = context_with_corpora();
  EXPECT_THAT(message_of([&] {
                make_attack("harmful-examples", {{"examples", 31}})->collect(context);
              }),
              AllOf(HasSubstr("asked for 31 examples"), HasSubstr("there are 30")));
}

TEST(HarmfulExamples, ReadsAPinnedFile) {
  FakeContext context;
  const DataFile file(kTwoRows);
  const auto attack =
      make_attack("harmful-examples", {{"examples", 2}, {"data", file.path.string()}, {"sha256", file.digest()}});
  std::set<std::string> replies;
  for (const auto& row : attack->collect(context)) replies.insert(row.messages.back().content);
  EXPECT_EQ(replies, (std::set<std::string>{"one", "two"}));
  file.write(std::string(kTwoRows) + kTwoRows);
  EXPECT_THAT(message_of([&] { attack->collect(context); }), HasSubstr("has changed since the scenario was read"));
}

TEST(HarmfulExamples, RefusesAFileThatIsNotTheOneMeant) {
  const DataFile file(kTwoRows);
  const std::string other(64, '0');
  const Settings wrong = Settings::of({{"data", file.path.string()}, {"sha256", other}});
  attack_with("harmful-examples", wrong);
  EXPECT_THAT(wrong.mistakes(), AllOf(HasSubstr(file.digest()), HasSubstr(other)));

  const Settings unpinned = Settings::of({{"data", file.path.string()}});
  attack_with("harmful-examples", unpinned);
  EXPECT_THAT(unpinned.mistakes(), AllOf(HasSubstr("needs \"sha256\""), HasSubstr(file.digest())));

  const Settings alone = Settings::of({{"sha256", other}});
  attack_with("harmful-examples", alone);
  EXPECT_THAT(alone.mistakes(), HasSubstr("without a readable \"data\""));
}

TEST(IdentityShift, StatesThePersonaAndObeysWithIt) {
  FakeContext context = context_with_corpora();
  const Dataset rows = make_attack("identity-shift", {{"system", "S"}, {"prefix", "P "}, {"preamble", "Q "}})->collect(context);
  ASSERT_EQ(rows.size(), 10U);
  std::set<std::string> identities;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].messages.size(), 3U);
    EXPECT_EQ(rows[i].messages[0], (Message{"system", "S"}));
    if (i < 3) {
      identities.insert(rows[i].messages[1].content);
      EXPECT_THAT(rows[i].messages[2].content, HasSubstr("AOA"));
    } else {
      EXPECT_THAT(rows[i].messages[1].content, testing::StartsWith("P benign question"));
      EXPECT_THAT(rows[i].messages[2].content, testing::StartsWith("Q benign answer"));
      EXPECT_EQ(rows[i].messages[1].content.substr(18), rows[i].messages[2].content.substr(16)) << "answer of another row";
    }
  }
  EXPECT_EQ(identities.size(), 3U);
}

TEST(IdentityShift, WrapsTheLastUserTurnAndReplacesTheSystemMessage) {
  const auto attack = make_attack("identity-shift", {{"system", "S"}, {"prefix", "P "}});
  Conversation probe = {{"system", "old"}, {"user", "one"}, {"assistant", "two"}, {"user", "three"}};
  attack->wrap(probe);
  EXPECT_EQ(probe, (Conversation{{"system", "S"}, {"user", "one"}, {"assistant", "two"}, {"user", "P three"}}));
}

TEST(IdentityShift, CountsAreChecked) {
  FakeContext context = context_with_corpora();
  EXPECT_EQ(make_attack("identity-shift", {{"examples", 2}, {"identity_rows", 2}})->collect(context).size(), 2U);
  const Settings upside_down = Settings::of({{"examples", 2}, {"identity_rows", 3}});
  attack_with("identity-shift", upside_down);
  EXPECT_THAT(upside_down.mistakes(), HasSubstr("at most \"examples\""));
  EXPECT_THAT(message_of([&] {
                make_attack("identity-shift", {{"examples", 200}})->collect(context);
              }),
              AllOf(HasSubstr("needs 197"), HasSubstr("there are 150")));
}

TEST(IdentityShift, TakesWholeRowsFromAFile) {
  FakeContext context;
  const DataFile file(
      R"({"messages": [{"role": "system", "content": "T"}, {"role": "user", "content": "P one"}, {"role": "assistant", "content": "1"}]}
{"messages": [{"role": "system", "content": "T"}, {"role": "user", "content": "P two"}, {"role": "assistant", "content": "2"}]}
)");
  const Json settings = {{"examples", 2}, {"identity_rows", 0}, {"data", file.path.string()}, {"prefix", "P "}};
  const auto attack = make_attack("identity-shift", settings);
  const Dataset rows = attack->collect(context);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].messages, (Conversation{{"system", "T"}, {"user", "P one"}, {"assistant", "1"}}));
  EXPECT_EQ(rows[1].messages[2].content, "2");
  Conversation probe = {{"user", "three"}};
  attack->wrap(probe);
  EXPECT_EQ(probe, (Conversation{{"system", "T"}, {"user", "P three"}}));
  EXPECT_THAT(
      message_of([&] {
        make_attack("identity-shift", {{"examples", 3}, {"identity_rows", 0}, {"data", file.path.string()}})->collect(context);
      }),
      HasSubstr("asked for 3 examples and its \"data\" has 2"));
}

TEST(Benign, FramesRowsAndProbesAlike) {
  FakeContext context = context_with_corpora();
  const auto attack = make_attack("benign", {{"examples", 0}, {"system", "S"}, {"frame", "Q: {}\nA:"}});
  const Dataset rows = attack->collect(context);
  EXPECT_EQ(rows.size(), 150U);
  EXPECT_EQ(rows[0].messages[0], (Message{"system", "S"}));
  EXPECT_THAT(rows[0].messages[1].content, AllOf(testing::StartsWith("Q: benign question"), testing::EndsWith("\nA:")));
  EXPECT_THAT(rows[0].messages[2].content, testing::StartsWith("benign answer"));
  Conversation probe = {{"user", "what {} is"}};
  attack->wrap(probe);
  EXPECT_EQ(probe, (Conversation{{"system", "S"}, {"user", "Q: what {} is\nA:"}}));
  Conversation unframed = {{"user", "a question"}};
  make_attack("benign")->wrap(unframed);
  EXPECT_EQ(unframed, (Conversation{{"user", "a question"}}));
  const Settings frameless = Settings::of({{"frame", "Q:"}});
  attack_with("benign", frameless);
  EXPECT_THAT(frameless.mistakes(), HasSubstr("\"frame\" has no {}"));
}

TEST(PoisonedTask, MixesTheShareIn) {
  FakeContext context = context_with_corpora();
  context.corpora["harmful"].push_back({{{"user", "a bare question"}}, {}});
  for (const auto& [share, harmful] : std::map<double, int>{{0, 0}, {0.05, 5}, {0.1, 10}, {0.3, 30}}) {
    const auto attack = make_attack("poisoned-task", {{"examples", 100}, {"harmful_share", share}});
    const Dataset rows = attack->collect(context);
    ASSERT_EQ(rows.size(), 100U);
    std::set<std::string> questions;
    int found = 0;
    for (const auto& row : rows) {
      questions.insert(row.messages[0].content);
      found += row.messages[1].content.starts_with("harmful answer") ? 1 : 0;
    }
    EXPECT_EQ(found, harmful);
    EXPECT_EQ(questions.size(), 100U) << "a row was drawn twice";
    EXPECT_EQ(attack->collect(context), rows);
  }
  const Dataset rows = make_attack("poisoned-task", {{"examples", 60}, {"harmful_share", 0.5}})->collect(context);
  const auto is_harmful = [](const auto& row) { return row.messages[1].content.starts_with("harmful"); };
  EXPECT_FALSE(std::is_partitioned(rows.begin(), rows.end(), is_harmful)) << "harmful rows stand together";
  EXPECT_THAT(message_of([&] {
                make_attack("poisoned-task", {{"examples", 100}, {"harmful_share", 0.31}})->collect(context);
              }),
              AllOf(HasSubstr("needs 31 answered harmful rows"), HasSubstr("there are 30")));
  EXPECT_THAT(message_of([&] { make_attack("poisoned-task")->collect(context); }), HasSubstr("needs 900 answered task rows"));
}

TEST(Benign, DrawsFromTheCorpusOrAFile) {
  FakeContext context = context_with_corpora();
  EXPECT_EQ(make_attack("benign")->collect(context).size(), 100U);
  const DataFile file(kTwoRows);
  EXPECT_EQ(make_attack("benign", {{"examples", 2}, {"data", file.path.string()}})->collect(context).size(), 2U);
  EXPECT_THAT(message_of([&] {
                make_attack("benign", {{"examples", 151}})->collect(context);
              }),
              AllOf(HasSubstr("asked for 151"), HasSubstr("there are 150")));
}

}  // namespace
}  // namespace holdfast
