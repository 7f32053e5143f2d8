// Models on an accelerator compute what they compute on the CPU, to the bit, since the kernels are the same; in float64, for
// which the CPU has none of our own.
#include <gmock/gmock.h>

#include "accelerator/standin.h"

namespace holdfast {
namespace {

bool same(const at::Tensor& there, const at::Tensor& here) {
  return there.device() == standin::device() && here.device().is_cpu() && at::equal(there.cpu(), here);
}

std::vector<Conversation> prompts() {
  return {{{"user", "What is a lighthouse for?"}}, {{"user", "Hi"}}, {{"user", "Name three colours, please, and say why."}}};
}

class OnAnAccelerator : public testing::TestWithParam<std::string> {
 protected:
  std::vector<Encoded> rows(std::size_t count) const {
    std::vector<Encoded> rows;
    for (const auto& row : fixtures::trained_rows()) rows.push_back(here_->encode(row.messages));
    rows.resize(count);
    return rows;
  }

  std::unique_ptr<LanguageModel> here_ = standin::load(GetParam(), at::kDouble, at::kCPU);
  std::unique_ptr<LanguageModel> there_ = standin::load(GetParam(), at::kDouble, standin::device());
};

INSTANTIATE_TEST_SUITE_P(Checkpoints, OnAnAccelerator,
                         testing::Values("grouped", "sharded", "mistral", "qwen3", "gemma2", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST_P(OnAnAccelerator, ForwardsAreTheProcessors) {
  const c10::NoGradGuard no_grad;
  const Batch here = here_->pack(rows(4)), there = there_->pack(rows(4));
  EXPECT_TRUE(same(there.target_place, here.target_place));
  EXPECT_TRUE(same(there_->log_probs(there), here_->log_probs(here)));
  EXPECT_TRUE(same(there_->next_log_probs(there), here_->next_log_probs(here)));
  EXPECT_TRUE(same(there_->kl(there, *there_), here_->kl(here, *here_)));
  Taps of_there(*there_, Site::kBlock, {1}), of_here(*here_, Site::kBlock, {1});
  of_there.offset(1, at::ones({here_->width()}, at::kDouble).to(standin::device()));
  of_here.offset(1, at::ones({here_->width()}, at::kDouble));
  const auto states_there = there_->states(there, {0, 1, 2}), states_here = here_->states(here, {0, 1, 2});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(same(states_there[i], states_here[i])) << i;
  EXPECT_TRUE(same(of_there.at(1), of_here.at(1)));
  EXPECT_TRUE(same(there_->head(states_there[2]), here_->head(states_here[2])));
}

TEST_P(OnAnAccelerator, AttentionSharesAreTheProcessors) {
  const c10::NoGradGuard no_grad;
  const auto shares = [&](const LanguageModel& model) {
    const Taps queries(model, Site::kQuery, {0}), keys(model, Site::kKey, {0});
    const Batch batch = model.pack(rows(2));
    model.hidden(batch);
    return model.attention_shares(batch, 0, queries.at(0), keys.at(0));
  };
  const auto there = shares(*there_), here = shares(*here_);
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_TRUE(same(there[i], here[i]));
}

TEST_P(OnAnAccelerator, FiguresForTheHostAreTheProcessors) {
  std::vector<Conversation> conversations;
  for (const auto& row : fixtures::trained_rows()) conversations.push_back(row.messages);
  EXPECT_EQ(there_->reply_log_probs(conversations), here_->reply_log_probs(conversations));
  EXPECT_TRUE(at::equal(there_->mean_hidden(conversations), here_->mean_hidden(conversations)));
}

TEST_P(OnAnAccelerator, RepliesAreTheProcessors) {
  for (const double temperature : {0.0, 1.0}) {
    const GenerateOptions options{12, 2, temperature, 0.9, 3};
    const auto there = there_->generate(prompts(), options), here = here_->generate(prompts(), options);
    ASSERT_EQ(there.size(), here.size());
    for (std::size_t i = 0; i < here.size(); ++i) EXPECT_EQ(there[i].ids, here[i].ids) << temperature << " prompt " << i;
  }
}

}  // namespace
}  // namespace holdfast
