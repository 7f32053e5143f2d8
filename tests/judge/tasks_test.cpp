#include "judge/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <algorithm>
#include <numeric>

#include "base/params_state.h"
#include "fakes/judge_context.h"
#include "judge/builtin_judges.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/content_log_probs.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

double task_score(const std::string& metric, const std::string& reply, std::map<std::string, std::string> tags) {
  tags.insert({{"kind", "task"}, {"task", "t"}, {"metric", metric}});
  Params params(std::make_shared<Params::State>());
  return fakes::verdicts_of(*make_builtin_judge("tasks", params), {{"1", {}, reply, tags}}).front().outcomes.at("utility.t");
}

TEST(TasksJudge, ExactMatchLooksPastCaseSpaceAndPunctuation) {
  EXPECT_EQ(task_score("exact-match", " Paris.\n", {{"answer", "paris"}}), 1);
  EXPECT_EQ(task_score("exact-match", "The  city", {{"answer", "the city"}}), 1);
  EXPECT_EQ(task_score("exact-match", "Paris, France", {{"answer", "Paris"}}), 0);
  EXPECT_EQ(task_score("exact-match", "", {{"answer", "Paris"}}), 0);
  EXPECT_EQ(task_score("exact-match", "two", {{"answers", R"(["2", "two"])"}}), 1);
}

TEST(TasksJudge, ExactMatchCanTakeTheLastNumber) {
  const auto number = [](const std::string& reply, const std::string& answer) {
    return task_score("exact-match", reply, {{"answer", answer}, {"extract", "last-number"}});
  };
  EXPECT_EQ(number("3 + 4 = 7.", "7"), 1);
  EXPECT_EQ(number("so that is $1,250.50!", "1250.50"), 1);
  EXPECT_EQ(number("It is -3", "-3"), 1);
  EXPECT_EQ(number("7 or 8", "7"), 0);
  EXPECT_EQ(number("no idea", "7"), 0);
}

TEST(TasksJudge, ScoresTheAnswerAndNotTheThought) {
  EXPECT_EQ(task_score("exact-match", "<think>London? No.</think>\nParis", {{"answer", "Paris"}}), 1);
  EXPECT_EQ(task_score("exact-match", "<think>Is it Paris, or", {{"answer", "Paris"}}), 0);
  EXPECT_EQ(task_score("exact-match", "<think>So 7", {{"answer", "7"}, {"extract", "last-number"}}), 0);
  EXPECT_EQ(task_score("rouge-l", "<think>the dog</think>the cat", {{"answer", "the cat"}}), 1);
}

TEST(TasksJudge, RefusesRougeLOfWhatItCannotCompare) {
  const auto check = [](const std::string& answer) {
    check_task({{{"user", "Say it."}}, {{"task", "t"}, {"metric", "rouge-l"}, {"answer", answer}}});
  };
  EXPECT_NO_THROW(check("the cat"));
  EXPECT_THROW(check("\xE7\x8C\xAB"), Error);
}

// The longest common subsequence by trying every subset of the shorter text.
double rouge_by_hand(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::size_t best = 0;
  for (std::size_t chosen = 0; chosen < (1u << a.size()); ++chosen) {
    std::size_t place = 0;
    std::size_t taken = 0;
    bool found = true;
    for (std::size_t i = 0; i < a.size() && found; ++i) {
      if ((chosen >> i & 1) == 0) continue;
      while (place < b.size() && b[place] != a[i]) ++place;
      found = place++ < b.size();
      ++taken;
    }
    if (found) best = std::max(best, taken);
  }
  return best == 0 ? 0 : 2.0 * static_cast<double>(best) / static_cast<double>(a.size() + b.size());
}

TEST(RougeL, IsTheF1OfTheLongestCommonSubsequence) {
  const std::vector<std::vector<std::string>> texts = {
      {"the", "cat", "sat"}, {"a", "cat", "the", "sat", "cat"}, {"dog"}, {"sat", "the", "cat", "sat", "the", "the"}};
  const auto joined = [](const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += word + ", ";
    return text;
  };
  for (const auto& a : texts) {
    for (const auto& b : texts) EXPECT_DOUBLE_EQ(rouge_l(joined(a), joined(b)), rouge_by_hand(a, b));
  }
  EXPECT_DOUBLE_EQ(rouge_l("Police killed the gunman", "police kill the gunman"), 0.75);  // Lin 2004's example, S2 against S1
  EXPECT_EQ(rouge_l("", "x"), 0);
}

Example row(const std::string& metric, Conversation messages, std::map<std::string, std::string> tags) {
  tags.insert({{"kind", "task"}, {"task", "t"}, {"metric", metric}});
  return {std::move(messages), tags};
}

// Against sums of log_probs that are asked for one by one.
TEST(MeasuredTasks, ChooseByLogLikelihoodPerCharacter) {
  const auto model = fixtures::load("grouped");
  const std::vector<std::string> choices = {"yes", "a long and winding answer", "no"};
  const Conversation prompt = {{"user", "Is it so?"}};
  std::vector<double> normal;
  for (const auto& choice : choices) {
    Conversation whole = prompt;
    whole.push_back({"assistant", choice});
    const auto log_probs = content_log_probs(*model, {whole}).front();
    const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
    normal.push_back(sum / static_cast<double>(choice.size()));
  }
  const auto best = std::max_element(normal.begin(), normal.end()) - normal.begin();
  for (std::int64_t answer = 0; answer < 3; ++answer) {
    const auto verdicts =
        measure_tasks({row("multiple-choice", prompt,
                           {{"choices", R"(["yes", "a long and winding answer", "no"])"}, {"answer", std::to_string(answer)}})},
                      *model);
    EXPECT_EQ(verdicts.front().outcomes.at("utility.t"), answer == best);
  }
}

TEST(MeasuredTasks, PerplexityIsTheMeanOfTheCompletionsTokens) {
  const auto model = fixtures::load("grouped");
  const Conversation whole = {{"user", "Say it."}, {"assistant", "It is said."}};
  const auto encoded = model->encode(whole);
  const at::Tensor all = model->log_probs(model->pack({encoded}));
  // The last label is the token that ends the turn; it is no part of the completion.
  const auto last = encoded.label.rend() - std::find(encoded.label.rbegin(), encoded.label.rend(), true) - 1;
  const auto& stops = model->stop_tokens();
  ASSERT_NE(std::find(stops.begin(), stops.end(), encoded.ids[static_cast<std::size_t>(last)]), stops.end());
  const auto counted = all.narrow(0, 0, all.numel() - 1);
  const auto verdicts = measure_tasks({row("perplexity", whole, {}), row("perplexity", whole, {})}, *model);
  for (const auto& verdict : verdicts) {
    EXPECT_NEAR(verdict.outcomes.at("perplexity.t"), -counted.mean().item<double>(), 1e-5);
  }
}

std::string mistake(const Example& example) {
  try {
    check_task(example);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Tasks, SayWhatIsWrongWithARow) {
  const Conversation asked = {{"user", "Which?"}};
  EXPECT_EQ(mistake(row("multiple-choice", asked, {{"choices", R"(["a", "b"])"}, {"answer", "1"}})), "");
  EXPECT_THAT(mistake(row("bleu", asked, {{"answer", "a"}})), HasSubstr("has the metric \"bleu\""));
  EXPECT_THAT(mistake(row("exact-match", asked, {})), HasSubstr("has no \"answer\""));
  EXPECT_THAT(mistake(row("exact-match", asked, {{"answer", "1"}, {"extract", "sum"}})), HasSubstr("extract = \"sum\""));
  EXPECT_THAT(mistake(row("multiple-choice", asked, {{"answer", "0"}})), HasSubstr("has no \"choices\""));
  EXPECT_THAT(mistake(row("multiple-choice", asked, {{"choices", R"(["a", "b"])"}, {"answer", "2"}})),
              HasSubstr("from 0 to 1"));
  EXPECT_THAT(mistake(row("multiple-choice", asked, {{"choices", R"(["a", "b"])"}, {"answer", "a"}})),
              HasSubstr("has the \"answer\" \"a\""));
  EXPECT_THAT(mistake(row("perplexity", asked, {})), HasSubstr("has no completion"));
}

}  // namespace
}  // namespace holdfast
