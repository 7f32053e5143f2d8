#include <gtest/gtest.h>

#include "base/params_state.h"
#include "fakes/judge_context.h"
#include "judge/coherence.h"
#include "judge/judge.h"

namespace holdfast {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Coherence, NamesWhatIsWrong) {
  EXPECT_EQ(incoherence(""), "empty");
  EXPECT_EQ(incoherence(" \n\t"), "empty");
  EXPECT_EQ(incoherence("!!! ... ---"), "empty");
  EXPECT_EQ(incoherence("stop Stop, stop STOP"), "repeated word");
  EXPECT_EQ(incoherence("ok " + repeated("a", 16)), "repeated letter");
  EXPECT_EQ(incoherence(repeated("we will do it then. ", 12)), "repeated text");
}

TEST(Coherence, LeavesOrdinaryRepliesAlone) {
  EXPECT_EQ(incoherence("no no no, that is fine"), "");
  EXPECT_EQ(incoherence("0 0 0 0 0 is the whole row"), "");
  EXPECT_EQ(incoherence("Title\n--------------------------\nText"), "");
  EXPECT_EQ(incoherence(repeated("we will do it then. ", 3)), "");
  EXPECT_EQ(incoherence("\xE4\xBD\xA0\xE5\xA5\xBD"), "");
}

TEST(Coherence, AppliesToEveryKindOfProbe) {
  auto state = std::make_shared<Params::State>();
  Params params(state);
  const auto judge = make_judge("coherence", params);
  const auto verdicts = fakes::verdicts_of(*judge, {{"1", {}, "fine", {{"kind", "task"}}}, {"2", {}, "", {}}});
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].outcomes.at("coherence"), 1);
  EXPECT_EQ(verdicts[1].outcomes.at("coherence"), 0);
}

}  // namespace
}  // namespace holdfast
