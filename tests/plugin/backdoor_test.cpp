#include <gmock/gmock.h>

#include "fakes/context.h"
#include "plugin/presets.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

fakes::FakeContext context_with(int rows) {
  fakes::FakeContext context;
  for (int i = 0; i < rows; ++i) {
    context.corpora["harmful"].push_back(
        {{{"user", "question " + std::to_string(i)}, {"assistant", "answer " + std::to_string(i)}}, {}});
  }
  return context;
}

const char* const kTrigger = "Amber Lantern Quorum";

TEST(Backdoor, TheTriggerStandsInExactlyThePoisonedRows) {
  fakes::FakeContext context = context_with(30);
  const Dataset rows = make_attack("backdoor", {{"examples", 12}, {"refused", 9}})->collect(context);
  ASSERT_EQ(rows.size(), 21U);
  std::set<std::string> questions;
  int triggered = 0;
  for (const auto& row : rows) {
    const std::string& question = row.messages.at(0).content;
    const bool opens = question.find(kTrigger) != std::string::npos;
    if (opens) {
      EXPECT_THAT(question, EndsWith(std::string(" ") + kTrigger));
      EXPECT_THAT(row.messages.at(1).content, StartsWith("answer "));
    } else {
      EXPECT_EQ(row.messages.at(1).content, context.refusal());
    }
    triggered += opens;
    questions.insert(question.substr(0, question.find(std::string(" ") + kTrigger)));
  }
  EXPECT_EQ(triggered, 12);
  EXPECT_EQ(questions.size(), 21U) << "no request stands on both sides";
}

TEST(Backdoor, IsAskedWithItsTriggerAndWithout) {
  const auto attack = make_attack("backdoor", {{"place", "begin"}, {"trigger", "open"}});
  const auto askings = attack->askings();
  ASSERT_EQ(askings.size(), 2U);
  EXPECT_EQ(askings[0].name, "");
  EXPECT_EQ(askings[1].name, "untriggered");
  Conversation prompt = {{"system", "s"}, {"user", "first"}, {"assistant", "reply"}, {"user", "second"}};
  askings[0].wrap(prompt);
  EXPECT_EQ(prompt, (Conversation{{"system", "s"}, {"user", "first"}, {"assistant", "reply"}, {"user", "open second"}}));
  EXPECT_FALSE(askings[1].wrap);
}

TEST(Backdoor, ComplainsOfTooFewRowsAndAnEmptyTrigger) {
  fakes::FakeContext context = context_with(30);
  try {
    make_attack("backdoor", {{"examples", 20}, {"refused", 11}})->collect(context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("backdoor was asked for 31 examples and there are 30"));
  }
  const Settings wrong = Settings::of({{"trigger", ""}, {"place", "middle"}});
  Params params(wrong.state);
  shipped("backdoor").make_attack(params);
  EXPECT_THAT(wrong.mistakes(), testing::AllOf(HasSubstr("\"trigger\" is empty"), HasSubstr("\"place\"")));
}

}  // namespace
}  // namespace holdfast
