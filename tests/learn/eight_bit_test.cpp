#include "learn/eight_bit.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <holdfast/random.h>

#include <cmath>

#include "learn/optimizer.h"

namespace holdfast {
namespace {

at::Tensor spread_numbers(std::int64_t count, bool with_sign, std::uint64_t seed) {
  Random random(seed);
  at::Tensor made = at::empty({count}, at::kFloat);
  auto* data = made.data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {  // over many decades
    const double value = std::pow(10.0, -8 * random.uniform());
    data[i] = static_cast<float>(with_sign && random.uniform() < 0.5 ? -value : value);
  }
  return made;
}

// The nearest value of the code times the scale, by looking at all of them.
float nearest(float number, float scale, const at::Tensor& values, bool with_sign) {
  const float share = scale > 0 ? number / scale : 0;
  const auto* all = values.data_ptr<float>();
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < values.numel(); ++i) {
    if (std::abs(all[i] - share) < std::abs(all[best] - share)) best = i;
  }
  if (!with_sign && number > 0 && all[best] == 0) best = 1;
  return all[best] * scale;
}

// Blocks by hand, the last one short.
std::vector<float> coded(const at::Tensor& given, bool with_sign) {
  const at::Tensor values = code_values(with_sign);
  const auto* data = given.data_ptr<float>();
  std::vector<float> out;
  for (std::int64_t first = 0; first < given.numel(); first += kCodeBlock) {
    const std::int64_t end = std::min(first + kCodeBlock, given.numel());
    float scale = 0;
    for (std::int64_t i = first; i < end; ++i) scale = std::max(scale, std::abs(data[i]));
    for (std::int64_t i = first; i < end; ++i) out.push_back(nearest(data[i], scale, values, with_sign));
  }
  return out;
}

std::vector<float> list_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

TEST(EightBitCode, HasTheValuesOfItsDefinition) {
  for (const bool with_sign : {false, true}) {
    const at::Tensor values = code_values(with_sign);
    ASSERT_EQ(values.numel(), 256);
    EXPECT_TRUE((values.slice(0, 1) > values.slice(0, 0, -1)).all().item<bool>()) << "ascending, each once";
    EXPECT_EQ(values[-1].item<float>(), 1.0F);
    EXPECT_EQ((values == 0).sum().item<std::int64_t>(), 1);
    EXPECT_EQ((values < 0).sum().item<std::int64_t>(), with_sign ? 127 : 0);
  }
  // The smallest decade has one middle with signs, two without; the largest 64 and 128.
  EXPECT_FLOAT_EQ(code_values(true)[128].item<float>(), 0.55e-6F);
  EXPECT_FLOAT_EQ(code_values(false)[1].item<float>(), 0.325e-6F);
  EXPECT_FLOAT_EQ(code_values(false)[2].item<float>(), 0.775e-6F);
  EXPECT_FLOAT_EQ(code_values(true)[254].item<float>(), 1 - 0.45F / 64);
  EXPECT_FLOAT_EQ(code_values(false)[254].item<float>(), 1 - 0.45F / 128);
}

TEST(EightBitCode, IsTheNearestOfEachBlock) {
  for (const bool with_sign : {false, true}) {
    const at::Tensor given = spread_numbers(3 * kCodeBlock + 17, with_sign, 4);
    EightBit kept(given.numel(), with_sign, at::kCPU);
    EXPECT_EQ(list_of(kept.read(0, given.numel())), std::vector<float>(static_cast<std::size_t>(given.numel()), 0.0F));
    kept.write(0, given);
    EXPECT_EQ(list_of(kept.read(0, given.numel())), coded(given, with_sign));
    EXPECT_EQ(list_of(kept.read(kCodeBlock, 40)), list_of(kept.read(0, given.numel()).narrow(0, kCodeBlock, 40)));
  }
}

TEST(EightBitCode, IsOffByLessThanItSays) {
  for (const bool with_sign : {false, true}) {
    const at::Tensor given = spread_numbers(64 * kCodeBlock, with_sign, 5);
    EightBit kept(given.numel(), with_sign, at::kCPU);
    kept.write(0, given);
    const at::Tensor off = (kept.read(0, given.numel()) - given).abs().view({-1, kCodeBlock});
    const at::Tensor scale = given.abs().view({-1, kCodeBlock}).amax(1, true);
    EXPECT_LE((off / scale).max().item<double>(), with_sign ? 0.0071 : 0.0036);
    EXPECT_GE((off / scale).max().item<double>(), with_sign ? 0.0060 : 0.0030) << "the bound says what is there";
  }
}

TEST(EightBitCode, KeepsZerosAndNoPositiveSquareAsZero) {
  at::Tensor squares = at::zeros({kCodeBlock}, at::kFloat);
  EightBit kept(kCodeBlock, false, at::kCPU);
  kept.write(0, squares);
  EXPECT_TRUE((kept.read(0, kCodeBlock) == 0).all().item<bool>());
  squares[3] = 1.0;
  squares[4] = 1e-12;
  kept.write(0, squares);
  EXPECT_EQ(kept.read(0, kCodeBlock)[3].item<float>(), 1.0F);
  EXPECT_GT(kept.read(0, kCodeBlock)[4].item<float>(), 0.0F);
  EXPECT_EQ(kept.read(0, kCodeBlock)[5].item<float>(), 0.0F);
}

// Three steps of AdamW as formulas; its moments go through the code above between two of them, or do not.
struct ByHand {
  std::vector<float> weight, mean, square;
  double lr, decay;

  void step(const std::vector<float>& g, int number, bool code) {
    for (std::size_t i = 0; i < g.size(); ++i) {
      mean[i] = static_cast<float>(0.9 * mean[i] + 0.1 * g[i]);
      square[i] = static_cast<float>(0.999 * square[i] + 0.001 * g[i] * g[i]);
      const double m = mean[i] / (1 - std::pow(0.9, number)), v = square[i] / (1 - std::pow(0.999, number));
      weight[i] = static_cast<float>(weight[i] * (1 - lr * decay) - lr * m / (std::sqrt(v) + 1e-8));
    }
    if (!code) return;
    mean = coded(at::tensor(mean), true);
    square = coded(at::tensor(square), false);
  }
};

TEST(EightBitAdamW, IsAdamWWhoseMomentsAreCodedBetweenSteps) {
  constexpr std::int64_t kCount = 5000;
  at::Tensor weight = spread_numbers(kCount, true, 6);
  const std::vector<float> zeros(kCount, 0), start = list_of(weight);
  ByHand by_hand{start, zeros, zeros, 1e-2, 0.1}, uncoded = by_hand;
  MasterWeights weights({weight});
  AdamW adam(weights, 0.1, OptimizerStates::kEightBit);
  for (int number = 1; number <= 3; ++number) {
    const at::Tensor gradient = spread_numbers(kCount, true, 10 + static_cast<std::uint64_t>(number));
    adam.step({gradient}, 1e-2);
    by_hand.step(list_of(gradient), number, true);
    uncoded.step(list_of(gradient), number, false);
  }
  const auto others = [&](const ByHand& made) {
    return (weight - at::tensor(made.weight)).abs().gt(1e-5).sum().item<std::int64_t>();
  };
  EXPECT_LE(others(by_hand), kCount / 500) << "moments that lie between two codes may be rounded to either";
  EXPECT_GE(others(uncoded), kCount / 4) << "nothing was coded";
}

TEST(EightBitAdamW, LeavesSmallTensorsInFloat32) {
  std::vector<at::Tensor> outcomes;
  for (const auto states : {OptimizerStates::kFloat32, OptimizerStates::kEightBit}) {
    at::Tensor weight = spread_numbers(4095, true, 7);
    MasterWeights weights({weight});
    AdamW adam(weights, 0, states);
    for (std::uint64_t number = 1; number <= 2; ++number) adam.step({spread_numbers(4095, true, number)}, 1e-3);
    outcomes.push_back(weight);
  }
  EXPECT_TRUE(at::equal(outcomes[0], outcomes[1]));
}

}  // namespace
}  // namespace holdfast
