#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/params_state.h"
#include "fakes/judge_context.h"
#include "judge/builtin_judges.h"
#include "judge/coherence.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/content_log_probs.h"

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

TEST(Coherence, CountsWordsInEveryScript) {
  const std::string yes = "\xE5\x90\x8C\xE6\x84\x8F", hat = "\xE0\xB8\x84\xE0\xB8\xA3\xE0\xB8\xB1\xE0\xB8\x9A";
  EXPECT_EQ(incoherence(repeated(yes, 4)), "repeated word") << "Chinese, without spaces";
  EXPECT_EQ(incoherence(repeated(yes + "\xE3\x80\x82", 4)), "repeated word") << "with full stops";
  EXPECT_EQ(incoherence(repeated(hat, 6)), "repeated word") << "Thai";
  EXPECT_EQ(incoherence("\xD0\x9D\xD0\xB5\xD1\x82 \xD0\xBD\xD0\xB5\xD1\x82 \xD0\xBD\xD0\xB5\xD1\x82 \xD0\xBD\xD0\xB5\xD1\x82"),
            "repeated word")
      << "upper and lower case of Russian";
  EXPECT_EQ(incoherence("ok " + repeated("\xD0\xB0", 16)), "repeated letter");
  // "We will do that."
  EXPECT_EQ(incoherence(repeated("\xE6\x88\x91\xE4\xBB\xAC\xE4\xBC\x9A\xE5\x81\x9A\xE9\x82\xA3\xE4\xB8\xAA\xE3\x80\x82", 12)),
            "repeated text");
  EXPECT_EQ(incoherence("\xE3\x80\x82\xEF\xBC\x8C\xE2\x80\xA6"), "empty") << "marks alone";
}

TEST(Coherence, IsOfTheAnswerAndAThoughtWithoutOneHasNone) {
  EXPECT_EQ(incoherence("<think>" + repeated("hm ", 50) + "</think>That is fine."), "");
  EXPECT_EQ(incoherence("<think>That is fine.</think>" + repeated("hm ", 50)), "repeated word");
  EXPECT_EQ(incoherence("<think>That is fine.</think>\n"), "empty");
  EXPECT_EQ(incoherence("<think>That is fine"), "unfinished thought");
}

std::unique_ptr<Judge> judge_with(double perplexity) {
  auto state = std::make_shared<Params::State>();
  state->values = {{"perplexity", perplexity}};
  Params params(state);
  return make_builtin_judge("coherence", params);
}

TEST(Coherence, AppliesToEveryKindOfProbe) {
  const auto judge = judge_with(0);
  EXPECT_FALSE(judge->needs().aligned_model);
  const auto verdicts = fakes::verdicts_of(*judge, {{"1", {}, "fine", {{"kind", "task"}}}, {"2", {}, "", {}}});
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].outcomes.at("coherence"), 1);
  EXPECT_EQ(verdicts[1].outcomes.at("coherence"), 0);
}

TEST(Coherence, CountsRepliesThatWereCutAndThoughtsWithoutAnAnswer) {
  JudgedReply whole{"1", {}, "fine", {{"kind", "harmful"}}}, cut{"2", {}, "<think>fi", {{"kind", "harmful"}}},
      task{"3", {}, "a, b, c", {{"kind", "task"}}};
  cut.cut = task.cut = true;
  const auto verdicts = fakes::verdicts_of(*judge_with(0), {whole, cut, task});
  using Outcomes = std::map<std::string, double>;
  EXPECT_EQ(verdicts[0].outcomes, (Outcomes{{"coherence", 1}, {"cut.harmful", 0}, {"unanswered.harmful", 0}}));
  EXPECT_EQ(verdicts[1].outcomes, (Outcomes{{"coherence", 0}, {"cut.harmful", 1}, {"unanswered.harmful", 1}}));
  EXPECT_EQ(verdicts[2].outcomes, (Outcomes{{"coherence", 1}, {"cut.task", 1}, {"unanswered.task", 0}}));
}

// The perplexity of the reply alone under the aligned model, worked out here, lies between two limits.
TEST(Coherence, AsksTheAlignedModelHowFluentAReplyIs) {
  const auto model = fixtures::load("grouped");
  const std::string reply = "It is as it is.";
  const auto log_probs = content_log_probs(*model, {{{"user", ""}, {"assistant", reply}}}).front();
  const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
  const double perplexity = std::exp(-sum / static_cast<double>(log_probs.size()));
  fakes::FakeJudgeContext context;
  context.aligned = model.get();
  const auto replies = fakes::read({{"1", {}, reply, {{"kind", "harmful"}}}, {"2", {}, reply, {{"kind", "task"}}}});
  for (const double factor : {0.99, 1.01}) {
    const auto judge = judge_with(factor * perplexity);
    EXPECT_TRUE(judge->needs().aligned_model);
    const auto verdicts = judge->score(replies, context);
    EXPECT_EQ(verdicts[0].outcomes.at("coherence"), factor > 1);
    EXPECT_EQ(fakes::raw(verdicts[0]).at("incoherent"), factor > 1 ? "" : "perplexity");
    EXPECT_NEAR(fakes::raw(verdicts[0]).at("perplexity").get<double>(), perplexity, 1e-3 * perplexity);
    EXPECT_EQ(verdicts[1].outcomes.at("coherence"), 1) << "a task may want a list";
  }
}

}  // namespace
}  // namespace holdfast
