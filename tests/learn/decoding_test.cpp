// The KV cache, batched generation and sampling, against the same model without any of them; in float64, where only what is
// computed differently differs.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <map>

#include "learn/checkpoint_fixtures.h"
#include "learn/generate.h"
#include "model/packed_weights.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

class Decoding : public testing::TestWithParam<std::string> {
 protected:
  Decoder& decoder() { return model_->decoder(); }
  at::Tensor hidden(const Ids& ids) {
    const c10::NoGradGuard no_grad;
    return decoder().forward(at::tensor(ids, at::kLong), {static_cast<std::int64_t>(ids.size())});
  }
  at::Tensor next_logits(const Ids& ids) { return decoder().logits(hidden(ids).slice(0, -1)).squeeze(0); }
  // Every step a whole forward: what generation must equal.
  Ids slow_greedy(Ids ids, std::int64_t count) {
    const std::size_t start = ids.size();
    for (std::int64_t n = 0; n < count; ++n) ids.push_back(next_logits(ids).argmax().item<std::int64_t>());
    return {ids.begin() + static_cast<std::ptrdiff_t>(start), ids.end()};
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Checkpoints, Decoding,
                         testing::Values("grouped", "sharded", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"),
                         [](const auto& info) { return info.param; });

Ids numbers(std::int64_t first, std::int64_t count) {
  Ids ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back((first + 37 * i) % 320 + 3);
  return ids;
}

Ids appended(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_P(Decoding, CacheGivesTheSameHiddenStates) {
  const c10::NoGradGuard no_grad;
  const Ids ids = numbers(5, 90);
  const at::Tensor whole = hidden(ids);
  KvCache cache = decoder().new_cache(1, 90);
  const auto feed = [&](std::int64_t begin, std::int64_t end) {
    return decoder().forward(at::tensor(Ids(ids.begin() + begin, ids.begin() + end), at::kLong), {end - begin}, &cache);
  };
  std::vector<at::Tensor> parts = {feed(0, 40), feed(40, 57)};
  for (std::int64_t t = 57; t < 90; ++t) parts.push_back(feed(t, t + 1));
  EXPECT_EQ(cache.lengths, Ids({90}));
  EXPECT_LT(fixtures::distance(at::cat(parts), whole), 1e-12);
}

TEST_P(Decoding, ContinuesASharedPrefixWithUnequalLengths) {
  const c10::NoGradGuard no_grad;
  const Ids prefix = numbers(1, 20);
  const std::vector<Ids> rest = {numbers(9, 3), numbers(50, 11), numbers(77, 1)};
  KvCache cache = decoder().new_cache(3, 40);
  decoder().forward(at::tensor(appended(appended(prefix, prefix), prefix), at::kLong), {20, 20, 20}, &cache);
  const at::Tensor packed =
      decoder().forward(at::tensor(appended(appended(rest[0], rest[1]), rest[2]), at::kLong), {3, 11, 1}, &cache);
  EXPECT_EQ(cache.lengths, Ids({23, 31, 21}));
  const auto parts = packed.split_with_sizes({3, 11, 1});
  for (std::size_t b = 0; b < 3; ++b)
    EXPECT_LT(fixtures::distance(parts[b], hidden(appended(prefix, rest[b])).slice(0, 20)), 1e-12);

  cache.move(2, 0);  // the others go on by themselves
  const at::Tensor next = decoder().forward(at::tensor(Ids{11, 12}, at::kLong), {1, 1}, &cache);
  EXPECT_LT(fixtures::distance(next[0], hidden(appended(appended(prefix, rest[2]), {11}))[-1]), 1e-12);
  EXPECT_LT(fixtures::distance(next[1], hidden(appended(appended(prefix, rest[1]), {12}))[-1]), 1e-12);
}

TEST_P(Decoding, GreedyEqualsWholeForwardsInEveryBatchSize) {
  // The first four share a prefix with nobody; the later lists share 12 tokens.
  std::vector<Ids> apart = {numbers(3, 9), numbers(100, 30), numbers(7, 1), numbers(250, 17)};
  std::vector<Ids> together;
  for (const auto& prompt : apart) together.push_back(appended(numbers(31, 12), prompt));
  together.push_back(numbers(31, 12));  // all of it is the others' prefix
  for (const auto& prompts : {apart, together}) {
    std::vector<Ids> wanted;
    for (const auto& prompt : prompts) wanted.push_back(slow_greedy(prompt, 10));
    for (const std::int64_t batch : {1, 3, 16}) {
      GenerateOptions options;
      options.max_new_tokens = 10;
      options.batch_size = batch;
      EXPECT_EQ(generate(decoder(), prompts, {}, options), wanted) << "batch size " << batch;
    }
  }
}

// What the CPU's own kernels promise: alone or among others, at once or token by token, with packed weights or not. To a cache
// and without one are two ways, which round apart.
TEST_P(Decoding, InFloat32ARowIsTheSameBitsInAnyCompany) {
  const c10::NoGradGuard no_grad;
  NamedTensors weights;
  for (const auto& [name, weight] : decoder().weights()) weights[name] = weight.to(at::kFloat);
  const Decoder narrow(decoder().config(), std::move(weights), "the test");
  const std::vector<Ids> all = {numbers(9, 33), numbers(50, 11), numbers(77, 20)};
  std::vector<at::Tensor> alone;
  for (const auto& ids : all)
    alone.push_back(narrow.forward(at::tensor(ids, at::kLong), {static_cast<std::int64_t>(ids.size())}));
  const at::Tensor together = narrow.forward(at::tensor(appended(appended(all[0], all[1]), all[2]), at::kLong), {33, 11, 20});
  EXPECT_TRUE(at::equal(together, at::cat(alone)));

  KvCache whole = narrow.new_cache(1, 40);
  const at::Tensor at_once = narrow.forward(at::tensor(all[1], at::kLong), {11}, &whole);
  EXPECT_LT((at_once - alone[1]).abs().max().item<double>(), 1e-4);
  const PackedWeights packed(narrow);
  KvCache cache = narrow.new_cache(4, 40);
  std::vector<at::Tensor> steps;
  for (std::int64_t t = 0; t < 11; ++t) {
    const Ids step = {all[2][static_cast<std::size_t>(t)], all[1][static_cast<std::size_t>(t)]};
    steps.push_back(narrow.forward(at::tensor(step, at::kLong), {1, 1}, &cache, 1)[1]);  // rows 1 and 2 of the cache
  }
  EXPECT_EQ(cache.lengths, Ids({0, 11, 11, 0}));
  EXPECT_TRUE(at::equal(at::stack(steps), at_once));
}

TEST_P(Decoding, FinishedSequencesLeaveTheBatch) {
  const std::vector<Ids> prompts = {numbers(3, 9), numbers(100, 9), numbers(7, 9), numbers(250, 9)};
  GenerateOptions options;
  options.max_new_tokens = 12;
  const auto endless = generate(decoder(), prompts, {}, options);
  const Ids stops = {endless[0][0], endless[1][4], endless[2][8]};
  std::vector<Ids> wanted;
  for (const auto& reply : endless) {
    const auto end = std::find_first_of(reply.begin(), reply.end(), stops.begin(), stops.end());
    wanted.emplace_back(reply.begin(), end);
  }
  ASSERT_THAT(wanted[0], testing::IsEmpty());
  ASSERT_FALSE(wanted[1].empty() && wanted[2].empty() && wanted[3].empty());
  EXPECT_EQ(generate(decoder(), prompts, stops, options), wanted);
}

TEST_P(Decoding, SampledRepliesDependOnSeedAndPlaceOnly) {
  std::vector<Ids> prompts;
  for (std::int64_t i = 0; i < 6; ++i) prompts.push_back(numbers(i, 4 + i));
  GenerateOptions options;
  options.max_new_tokens = 8;
  options.temperature = 0.8;
  options.top_p = 0.9;
  options.seed = 5;
  options.batch_size = 1;
  const auto alone = generate(decoder(), prompts, {}, options);
  options.batch_size = 4;
  EXPECT_EQ(generate(decoder(), prompts, {}, options), alone);
  options.seed = 6;
  EXPECT_NE(generate(decoder(), prompts, {}, options), alone);
}

// How often each token came first in many replies to one prompt.
std::map<std::int64_t, double> shares(Decoder& decoder, const Ids& prompt, int draws, double temperature, double top_p) {
  GenerateOptions options;
  options.max_new_tokens = 1;
  options.batch_size = 1000;
  options.temperature = temperature;
  options.top_p = top_p;
  std::map<std::int64_t, double> share;
  for (const auto& reply : generate(decoder, std::vector<Ids>(static_cast<std::size_t>(draws), prompt), {}, options)) {
    share[reply.at(0)] += 1.0 / draws;
  }
  return share;
}

TEST_P(Decoding, SamplesFromTheTemperedNucleus) {
  constexpr int kDraws = 4000;
  const Ids prompt = numbers(42, 12);
  for (const double top_p : {1.0, 0.6}) {
    const auto [sorted, order] = at::softmax(next_logits(prompt).to(at::kDouble) / 0.7, -1).sort(-1, true);
    const std::int64_t nucleus = (sorted.cumsum(0) < top_p - 1e-12).sum().item<std::int64_t>() + 1;
    const auto seen = shares(decoder(), prompt, kDraws, 0.7, top_p);
    const std::int64_t kept = std::min(nucleus, sorted.size(0));
    const double mass = sorted.slice(0, 0, kept).sum().item<double>();
    double inside = 0;
    for (std::int64_t i = 0; i < kept; ++i) {
      const double wanted = sorted[i].item<double>() / mass;
      const auto found = seen.find(order[i].item<std::int64_t>());
      const double share = found == seen.end() ? 0 : found->second;
      inside += share;
      EXPECT_NEAR(share, wanted, 4.5 * std::sqrt(wanted / kDraws) + 1e-3) << "rank " << i << " at top_p " << top_p;
    }
    EXPECT_NEAR(inside, 1, 1e-9);
    EXPECT_LT(kept, top_p < 1 ? sorted.size(0) / 2 : sorted.size(0) + 1);
  }
}

TEST_P(Decoding, ReportsASequenceBeyondTheLimit) {
  const auto message = [&](const Ids& prompt) -> std::string {
    try {
      generate(decoder(), {prompt}, {}, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(numbers(1, 600)),
            "a sequence has 599 tokens, the model's limit is 512: lower max_length or max_new_tokens");
  EXPECT_EQ(message(numbers(1, 500)),
            "a sequence has 513 tokens, the model's limit is 512: lower max_length or max_new_tokens");
}

}  // namespace
}  // namespace holdfast
