// A weight's product with low-rank updates of its rows: value and gradients against the formula in float64, and a member's bits
// alone and in company.
#include "model/adapted_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

#include "model/tensors.h"

namespace holdfast {
namespace {

struct Made {
  at::Tensor value, to_x;
  std::vector<at::Tensor> to_factors;
};

// Two members with factors and one without.
class AdaptedProduct : public testing::Test {
 protected:
  static constexpr std::int64_t kIn = 1100, kOut = 70;  // more than a panel's part, and no whole number of panels
  const std::vector<std::int64_t> rows_ = {9, 4, 20};

  static at::Tensor floats(at::IntArrayRef shape, std::uint64_t seed) { return normal(shape, seed, at::kFloat); }

  std::vector<LoraFactors> factors() const {
    std::vector<LoraFactors> made = {{floats({5, kIn}, 1), floats({kOut, 5}, 2), 0.5},
                                     {floats({50, kIn}, 3), floats({kOut, 50}, 4), 2}};
    for (auto& each : made) {
      each.a.requires_grad_(true);
      each.b.requires_grad_(true);
    }
    return made;
  }

  std::vector<AdaptedRows> adapted(const std::vector<LoraFactors>& factors) const {
    return {{rows_[0], &factors[0]}, {rows_[1], nullptr}, {rows_[2], &factors[1]}};
  }

  at::Tensor input() const { return floats({33, kIn}, 7); }
  at::Tensor slope() const { return floats({33, kOut}, 8); }

  static Made made(const at::Tensor& given, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted,
                   const at::Tensor& slope) {
    const at::Tensor x = given.clone().requires_grad_(true);
    std::vector<at::Tensor> inputs = {x};
    for (const auto& each : adapted) {
      if (each.factors != nullptr) inputs.insert(inputs.end(), {each.factors->a, each.factors->b});
    }
    const at::Tensor value = adapted_product(x, weight, adapted);
    auto gradients = torch::autograd::grad({value}, inputs, {slope});
    return {value.detach(), gradients[0], {gradients.begin() + 1, gradients.end()}};
  }

  // The sums written out with ATen in float64.
  Made defined(const std::vector<LoraFactors>& factors) const {
    const at::Tensor x = input().to(at::kDouble).requires_grad_(true), weight = weight_.to(at::kDouble);
    std::vector<at::Tensor> inputs = {x}, parts;
    const auto rows = x.split_with_sizes(rows_);
    const auto updated = [&](const at::Tensor& part, const LoraFactors& lora) {
      const at::Tensor a = lora.a.detach().to(at::kDouble).requires_grad_(true),
                       b = lora.b.detach().to(at::kDouble).requires_grad_(true);
      inputs.insert(inputs.end(), {a, b});
      return at::mm(part, (weight + lora.scale * at::mm(b, a)).t());
    };
    parts.push_back(updated(rows[0], factors[0]));
    parts.push_back(at::mm(rows[1], weight.t()));
    parts.push_back(updated(rows[2], factors[1]));
    const at::Tensor value = at::cat(parts);
    auto gradients = torch::autograd::grad({value}, inputs, {slope().to(at::kDouble)});
    return {value.detach(), gradients[0], {gradients.begin() + 1, gradients.end()}};
  }

  const at::Tensor weight_ = floats({kOut, kIn}, 5);
};

TEST_F(AdaptedProduct, IsThatOfTheFormulaWithItsGradients) {
  const auto factors = this->factors();
  const Made made = this->made(input(), weight_, adapted(factors), slope()), wanted = defined(factors);
  EXPECT_LT(relative_distance(made.value, wanted.value), 1e-5);
  EXPECT_LT(relative_distance(made.to_x, wanted.to_x), 1e-5);
  ASSERT_EQ(made.to_factors.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_LT(relative_distance(made.to_factors[i], wanted.to_factors[i]), 1e-5) << i;
}

TEST_F(AdaptedProduct, AMemberIsTheSameBitsAloneAndInCompany) {
  const auto factors = this->factors();
  const Made together = this->made(input(), weight_, adapted(factors), slope());
  const std::vector<AdaptedRows> only = {{rows_[2], &factors[1]}};
  const Made alone = this->made(input().narrow(0, 13, 20), weight_, only, slope().narrow(0, 13, 20));
  EXPECT_TRUE(alone.value.equal(together.value.narrow(0, 13, 20)));
  EXPECT_TRUE(alone.to_x.equal(together.to_x.narrow(0, 13, 20)));
  EXPECT_TRUE(alone.to_factors[0].equal(together.to_factors[2]));
  EXPECT_TRUE(alone.to_factors[1].equal(together.to_factors[3]));
}

TEST_F(AdaptedProduct, GivesOnlyTheGradientsThatAreAskedFor) {
  const auto factors = this->factors();
  factors[0].a.requires_grad_(false);
  const at::Tensor value = adapted_product(input(), weight_, adapted(factors));
  const auto made = torch::autograd::grad({value}, {factors[0].b, factors[1].a}, {slope()});
  const Made wanted = defined(factors);
  EXPECT_LT(relative_distance(made[0], wanted.to_factors[1]), 1e-5);
  EXPECT_LT(relative_distance(made[1], wanted.to_factors[2]), 1e-5);
  EXPECT_FALSE(factors[0].a.grad().defined());
}

TEST_F(AdaptedProduct, LeavesTheRestToOthers) {
  const auto factors = this->factors();
  EXPECT_TRUE(has_adapted_product(input(), weight_, adapted(factors)));
  EXPECT_FALSE(has_adapted_product(input().to(at::kDouble), weight_, adapted(factors)));
  EXPECT_FALSE(has_adapted_product(input(), weight_.clone().requires_grad_(true), adapted(factors)));
  std::vector<LoraFactors> half = factors;
  half[0].b = half[0].b.detach().to(at::kBFloat16);
  EXPECT_FALSE(has_adapted_product(input(), weight_, adapted(half)));
}

TEST_F(AdaptedProduct, ASecondDerivativeIsRefused) {
  const auto factors = this->factors();
  const at::Tensor x = input().requires_grad_(true);
  const at::Tensor sum = adapted_product(x, weight_, adapted(factors)).square().sum();
  EXPECT_THROW(torch::autograd::grad({sum}, {x}, {}, true, /*create_graph=*/true), Error);
}

}  // namespace
}  // namespace holdfast
