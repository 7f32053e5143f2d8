#include "learn/continuation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "learn/checkpoint_fixtures.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

const Conversation kPrompt = {{"user", "Tell me of the old mill."}};

// Log-probability of each token of ids after the first, one forward over the sequence alone.
std::vector<double> log_probs(LanguageModel& model, const std::vector<std::int64_t>& ids) {
  const c10::NoGradGuard no_grad;
  const at::Tensor states = model.decoder().forward(at::tensor(ids, at::kLong), {static_cast<std::int64_t>(ids.size())});
  const at::Tensor scores = at::log_softmax(model.decoder().logits(states).to(at::kDouble), -1);
  std::vector<double> values;
  for (std::size_t i = 1; i < ids.size(); ++i)
    values.push_back(scores[static_cast<std::int64_t>(i) - 1][ids[i]].item<double>());
  return values;
}

class Continuation : public ::testing::Test {
 protected:
  // The prompt's ids and those of the text right after it.
  std::vector<std::int64_t> followed_by(const std::string& text) const {
    auto ids = model_->encode_prompt(kPrompt);
    for (const auto& token : model_->tokenizer().encode(text, false)) ids.push_back(token.id);
    return ids;
  }
  std::unique_ptr<LanguageModel> model_ = fixtures::load("grouped");
};

TEST_F(Continuation, BeginsTheReplyAndDoesNotEndIt) {
  const Encoded begun = begun_reply(*model_, kPrompt, "Sure, here is");
  EXPECT_EQ(begun.ids, followed_by("Sure, here is"));
  const auto before = model_->encode_prompt(kPrompt).size();
  for (std::size_t i = 0; i < begun.ids.size(); ++i) EXPECT_EQ(begun.label[i], i >= before) << i;
}

TEST_F(Continuation, CountsOnlyTheLastReply) {
  const Conversation several = {{"user", "One."}, {"assistant", "Two."}, {"user", "Three."}};
  const Encoded begun = begun_reply(*model_, several, "Four");
  const auto before = model_->encode_prompt(several).size();
  EXPECT_EQ(static_cast<std::size_t>(std::count(begun.label.begin(), begun.label.end(), true)), begun.ids.size() - before);
}

// Llama 2's template puts a space before a reply, which is part of the reply's first token.
TEST_F(Continuation, KeepsAFirstWordThatBeginsBeforeTheContent) {
  const fs::path path = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text/llama2.tokenizer.json";
  const auto tokenizer = Tokenizer::from_json(parse_json(read_file(path), path.string()), path.string());
  const auto chat = std::make_shared<ChatTemplate>(
      "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
      "{% else %}{{ ' ' + m.content + '</s>' }}{% endif %}{% endfor %}",
      std::map<std::string, std::string>(), "the test's template");
  ModelConfig config = model_->decoder().config();
  config.vocabulary = 1000;
  const auto decoder = std::make_shared<Decoder>(config, Decoder::random_weights(config, 1), "the test's model");
  const LanguageModel llama2(decoder, tokenizer, chat, {tokenizer->id_of("</s>").value()}, SideFiles());
  const Encoded begun = begun_reply(llama2, kPrompt, "Sure, here is");
  std::vector<std::int64_t> reply;
  for (std::size_t i = 0; i < begun.ids.size(); ++i) {
    if (begun.label[i]) reply.push_back(begun.ids[i]);
  }
  std::vector<std::int64_t> expected;
  for (const auto& token : tokenizer->encode("Sure, here is", false)) expected.push_back(token.id);
  EXPECT_EQ(reply, expected);  // alone, a text gets the same space before it
  const Encoded whole = llama2.encode({kPrompt[0], {"assistant", "Sure, here is"}});  // and the same tokens are learned
  for (std::size_t i = 0; i < begun.ids.size(); ++i) EXPECT_EQ(whole.label[i], begun.label[i]) << i;
}

TEST_F(Continuation, OfNothingIsAnError) {
  try {
    begun_reply(*model_, kPrompt, "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("leaves nothing of a reply"));
  }
}

TEST_F(Continuation, MeansEqualADirectForward) {
  const std::vector<std::string> openings = {"Sure, here is", "I cannot help with that.", "No"};
  const auto means = mean_log_probs(*model_, kPrompt, openings);
  ASSERT_EQ(means.size(), openings.size());
  const auto before = static_cast<std::ptrdiff_t>(model_->encode_prompt(kPrompt).size());
  for (std::size_t i = 0; i < openings.size(); ++i) {
    const auto direct = log_probs(*model_, followed_by(openings[i]));
    const double sum = std::accumulate(direct.begin() + before - 1, direct.end(), 0.0);
    EXPECT_NEAR(means[i], sum / static_cast<double>(direct.size() - before + 1), 1e-4) << openings[i];
  }
}

TEST(Fork, IsWhereTwoSequencesPart) {
  const Fork fork = fork_of({1, 2, 3, 4}, {1, 2, 5});
  EXPECT_EQ(fork.common, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(fork.first, 3);
  EXPECT_EQ(fork.second, 5);
  EXPECT_THROW(fork_of({1, 2}, {1, 2}), Error);
  EXPECT_THROW(fork_of({1, 2}, {1, 2, 3}), Error);
  EXPECT_THROW(fork_of({1}, {2}), Error);
}

TEST_F(Continuation, ForksEqualADirectForward) {
  std::vector<Fork> forks;
  for (const auto* text : {"safe", "a b c", "x"}) forks.push_back({followed_by(text), 100, 200});
  for (int i = 0; i < 60; ++i) forks.push_back({followed_by(std::string(40, 'z')), 7 + i, 300});  // more than one forward
  const auto both = fork_log_probs(*model_, forks);
  ASSERT_EQ(both.size(), forks.size());
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3}, forks.size() - 1}) {
    auto ids = forks[i].common;
    ids.push_back(forks[i].first);
    EXPECT_NEAR(both[i].first, log_probs(*model_, ids).back(), 1e-4) << i;
    ids.back() = forks[i].second;
    EXPECT_NEAR(both[i].second, log_probs(*model_, ids).back(), 1e-4) << i;
  }
}

}  // namespace
}  // namespace holdfast
