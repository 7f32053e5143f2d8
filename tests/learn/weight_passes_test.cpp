// Passes over whole weights against the same said in float64, where own loops serve and where libtorch's operations do.
#include "learn/weight_passes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace holdfast {
namespace {

constexpr std::int64_t kSizes[] = {0, 1, 7, 8, 1000, (1 << 16) - 1, 3 * (1 << 16) + 5};

at::Tensor drawn(std::int64_t size, double scale) { return at::randn({size}, at::kDouble).mul_(scale).to(at::kFloat); }

// With holes between its numbers, so that no own loop serves.
at::Tensor with_holes(const at::Tensor& tensor) { return at::stack({tensor, at::zeros_like(tensor)}, -1).select(-1, 0); }

TEST(WeightPasses, SquareNormsAreThoseOfFloat64WhateverTheThreads) {
  at::manual_seed(1);
  for (const auto size : kSizes) {
    const at::Tensor before = drawn(size, 3), after = before + drawn(size, 1e-3);
    const at::Tensor moved = (after - before).to(at::kDouble);
    const double of_before = before.to(at::kDouble).square().sum().item<double>(),
                 between = moved.square().sum().item<double>();
    std::vector<SquareNorms> made;
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      made.push_back(square_norms(before, after));
    }
    EXPECT_EQ(made[0].before, made[1].before);
    EXPECT_EQ(made[0].between, made[1].between);
    made.push_back(square_norms(with_holes(before), with_holes(after)));
    for (const auto& each : made) {
      EXPECT_NEAR(each.before, of_before, 1e-12 * of_before);
      EXPECT_NEAR(each.between, between, 1e-12 * between);
    }
  }
}

TEST(WeightPasses, ADifferenceIsRoundedAndAddedAsTheOperationsDo) {
  at::manual_seed(2);
  for (const auto size : kSizes) {
    const at::Tensor before = drawn(size, 3), after = before + drawn(size, 1e-3);
    const at::Tensor difference = (after - before).to(at::kBFloat16);
    EXPECT_TRUE(at::equal(rounded_difference(before, after), difference));
    EXPECT_TRUE(at::equal(rounded_difference(with_holes(before), after), difference));
    const at::Tensor sum = before + difference.to(at::kFloat);
    for (at::Tensor weight : {before.clone(), with_holes(before)}) {
      add_difference(weight, difference);
      EXPECT_TRUE(at::equal(weight, sum));
    }
    at::Tensor narrow = before.to(at::kBFloat16);
    const at::Tensor narrow_sum = (narrow.to(at::kFloat) + difference.to(at::kFloat)).to(at::kBFloat16);
    add_difference(narrow, difference);
    EXPECT_TRUE(at::equal(narrow, narrow_sum));
  }
}

TEST(WeightPasses, OneNumberThatIsNotFiniteIsFoundWhereverItStands) {
  constexpr std::int64_t size = 2 * (1 << 16) + 3;
  using Limits = std::numeric_limits<float>;
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    const at::Tensor largest = at::full({size}, type == at::kHalf ? 65504.0 : 3e38, at::kDouble).to(type);
    EXPECT_TRUE(all_finite(largest)) << type;
    for (const float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
      for (const std::int64_t place : {std::int64_t{0}, size / 2, size - 1}) {
        at::Tensor spoilt = largest.clone();
        spoilt[place] = bad;
        EXPECT_FALSE(all_finite(spoilt)) << type << " " << bad << " at " << place;
        EXPECT_FALSE(all_finite(with_holes(spoilt))) << type << " " << bad << " at " << place;
      }
    }
  }
  EXPECT_TRUE(all_finite(at::empty({0})));
}

}  // namespace
}  // namespace holdfast
