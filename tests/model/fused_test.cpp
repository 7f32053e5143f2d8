// Loops that stand in for several operations, values and gradients in float32, against the formulas in float64.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>

#include "model/fused/attention.h"
#include "model/fused/embedding.h"
#include "model/fused/gated_unit.h"
#include "model/fused/greatest.h"
#include "model/fused/rms_norm.h"
#include "model/fused/rotary.h"
#include "model/fused/small_product.h"
#include "model/tensors.h"

namespace holdfast {
namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

// Value and slopes along one random direction of the output, in the dtype of what is given.
Tensors value_and_slopes(const Function& function, const Tensors& given, at::ScalarType dtype) {
  Tensors inputs;
  for (const auto& tensor : given) inputs.push_back(tensor.to(dtype, false, /*copy=*/true).set_requires_grad(true));
  const at::Tensor value = function(inputs);
  Tensors made = torch::autograd::grad({value}, inputs, {normal(value.sizes(), 99).to(dtype)});
  made.insert(made.begin(), value.detach());
  return made;
}

void expect_defined(const Function& fused, const Function& formula, const Tensors& given, const std::string& what) {
  const Tensors made = value_and_slopes(fused, given, at::kFloat), defined = value_and_slopes(formula, given, at::kDouble);
  for (std::size_t i = 0; i < made.size(); ++i)
    EXPECT_LT(relative_distance(made[i], defined[i]), 3e-6) << what << ", tensor " << i;
}

TEST(Fused, NormsAreThoseOfTheFormula) {
  for (const std::int64_t width : {6, 16, 40, 576}) {
    for (const double offset : {0.0, 1.0}) {
      const Function formula = [&](const Tensors& x) {
        return x[0] / (x[0].square().mean(-1, true) + 1e-5).sqrt() * (x[1] + offset);
      };
      const Function fused = [&](const Tensors& x) { return fused::rms_norm(x[0], x[1], 1e-5, offset); };
      for (const std::int64_t rows : {1, 64, 131}) {
        expect_defined(fused, formula, {normal({rows, width}, 1), normal({width}, 2)}, std::to_string(width));
      }
      expect_defined(fused, formula, {normal({5, 3, width}, 1), normal({width}, 2)}, "heads of " + std::to_string(width));
    }
  }
}

std::int64_t resident_pages() {
  std::int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident;
}

TEST(Fused, AnEmbeddingsGradientIsTheDenseOneToTheBit) {
  const at::Tensor start = normal({50, 24}, 1).to(at::kFloat), into = normal({9, 24}, 2).to(at::kFloat);
  const at::Tensor ids = at::tensor({7, 3, 7, 49, 0, 7, 3, 11, 12}, at::kLong);
  const auto gradients = [&](bool own, bool with_head) {
    const at::Tensor weight = start.clone().set_requires_grad(true);
    const auto loss = [&] {
      const at::Tensor rows = own ? fused::embedding(weight, ids) : at::embedding(weight, ids);
      return with_head ? at::mm(rows * into, weight.t()).square().sum() : (rows * into).square().sum();
    };
    for (int pass = 0; pass < 2; ++pass) loss().backward();  // the second is added to the first
    return Tensors{loss().detach(), weight.grad(), torch::autograd::grad({loss()}, {weight}).front()};
  };
  for (const bool with_head : {false, true}) {
    const Tensors made = gradients(true, with_head), dense = gradients(false, with_head);
    for (std::size_t i = 0; i < made.size(); ++i) EXPECT_TRUE(at::equal(made[i], dense[i])) << with_head << ", tensor " << i;
  }
}

TEST(Fused, AnEmbeddingsGradientTakesMemoryForTheRowsThatWereLookedUp) {
  constexpr std::int64_t width = 1024, rows = 1 << 14;  // 64 MiB, a row a page
  const at::Tensor weight = at::ones({rows, width}).set_requires_grad(true), ids = at::tensor({5, 5, 9000}, at::kLong);
  const at::Tensor loss = fused::embedding(weight, ids).sum();
  const std::int64_t before = resident_pages();
  loss.backward();
  EXPECT_LT(resident_pages() - before, rows / 4);
  EXPECT_EQ(weight.grad()[5].sum().item<double>(), 2 * width);
  EXPECT_EQ(weight.grad().sum().item<double>(), 3 * width);
}

TEST(Fused, ANormGivesEachGradientByItself) {
  const at::Tensor x = normal({70, 24}, 1).to(at::kFloat), weight = normal({24}, 2).to(at::kFloat);
  const auto slope = [&](bool to_x) {
    const at::Tensor in = x.detach().set_requires_grad(to_x), by = weight.detach().set_requires_grad(!to_x);
    return torch::autograd::grad({fused::rms_norm(in, by, 1e-5, 0).square().sum()}, {to_x ? in : by})[0];
  };
  const at::Tensor in = x.detach().set_requires_grad(true), by = weight.detach().set_requires_grad(true);
  const auto both = torch::autograd::grad({fused::rms_norm(in, by, 1e-5, 0).square().sum()}, {in, by});
  EXPECT_TRUE(slope(true).equal(both[0]));
  EXPECT_TRUE(slope(false).equal(both[1]));
}

TEST(Fused, RotationsAreThoseOfTheFormula) {
  for (const std::int64_t half : {3, 16, 32, 40}) {
    const at::Tensor angles = normal({37, 1, half}, 3);
    const Function formula = [&](const Tensors& x) {
      const auto parts = x[0].chunk(2, -1);
      const at::Tensor cos = angles.cos(), sin = angles.sin();
      return at::cat({parts[0] * cos - parts[1] * sin, parts[1] * cos + parts[0] * sin}, -1);
    };
    const Function fused = [&](const Tensors& x) {
      return fused::rotate(x[0], angles.cos().to(at::kFloat), angles.sin().to(at::kFloat));
    };
    expect_defined(fused, formula, {normal({37, 3, 2 * half}, 4)}, std::to_string(half));
    // Of a tensor whose neighbours in memory are others.
    expect_defined([&](const Tensors& x) { return fused({x[0].transpose(0, 1)}); },
                   [&](const Tensors& x) { return formula({x[0].transpose(0, 1)}); }, {normal({3, 37, 2 * half}, 4)},
                   "transposed");
  }
}

TEST(Fused, GatedUnitsAreThoseOfTheFormula) {
  const Function fused = [](const Tensors& x) { return fused::gated_unit(x[0], x[1]); };
  const Function formula = [](const Tensors& x) { return x[0] * at::sigmoid(x[0]) * x[1]; };
  for (const double scale : {0.1, 1.0, 30.0}) {
    expect_defined(fused, formula, {normal({13, 77}, 5) * scale, normal({13, 77}, 6)}, std::to_string(scale));
  }
  const at::Tensor far = at::tensor({-1e4, -88.0, -87.0, 0.0, 87.0, 88.0, 89.0, 1e4}, at::kDouble).unsqueeze(0);
  expect_defined(fused, formula, {far, at::ones_like(far)}, "far out");
  const Function gelu = [](const Tensors& x) { return fused::gated_unit(x[0], x[1], true); };
  const Function gelu_formula = [](const Tensors& x) { return at::gelu(x[0], "tanh") * x[1]; };
  for (const double scale : {0.1, 1.0, 8.0}) {
    expect_defined(gelu, gelu_formula, {normal({13, 77}, 5) * scale, normal({13, 77}, 6)}, "gelu " + std::to_string(scale));
  }
  const at::Tensor none = at::tensor({std::numeric_limits<float>::quiet_NaN(), 1.0F}).unsqueeze(0);
  EXPECT_TRUE(fused::gated_unit(none, at::ones_like(none)).isnan()[0][0].item<bool>());
}

TEST(Fused, RowsMayLieApart) {
  const at::Tensor both = normal({13, 160}, 5).to(at::kFloat);
  const auto part = [&](std::int64_t i) { return both.narrow(1, 80 * i, 80); };
  EXPECT_TRUE(fused::gated_unit(part(0), part(1)).equal(fused::gated_unit(part(0).contiguous(), part(1).contiguous())));
  const Function apart = [](const Tensors& x) { return fused::gated_unit(x[0].narrow(1, 0, 77), x[0].narrow(1, 77, 77)); };
  const Function formula = [](const Tensors& x) { return at::silu(x[0].narrow(1, 0, 77)) * x[0].narrow(1, 77, 77); };
  expect_defined(apart, formula, {normal({13, 154}, 6)}, "parts of one product");
  const at::Tensor angles = normal({13, 1, 8}, 3).to(at::kFloat), heads = part(1).view({13, 5, 16});
  EXPECT_TRUE(
      fused::rotate(heads, angles.cos(), angles.sin()).equal(fused::rotate(heads.contiguous(), angles.cos(), angles.sin())));
}

TEST(Fused, TheGreatestIsTheFirstOfThem) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN(), kInfinite = std::numeric_limits<float>::infinity();
  for (const std::int64_t size : {1, 5, 16, 17, 33, 1000}) {
    const at::Tensor x = normal({9, size}, 7).to(at::kFloat);
    x[1].fill_(2);
    x[2].fill_(-kInfinite);
    x[3][size - 1] = kInfinite;
    x[4][size / 2] = kNone;
    x[5][0] = kNone;
    x[6].copy_(x[6].round());  // with equals
    x[7].fill_(kNone);
    EXPECT_TRUE(fused::greatest_places(x).equal(x.argmax(-1))) << size << "\n" << fused::greatest_places(x) << x.argmax(-1);
  }
}

TEST(Fused, SmallProductsAreSums) {
  for (const std::int64_t rows : {1, 5, 6, 13}) {
    for (const std::int64_t columns : {1, 16, 23}) {
      for (const std::int64_t inner : {1, 9}) {
        const at::Tensor a = normal({rows, inner}, 1).to(at::kFloat), b = normal({inner, columns}, 2).to(at::kFloat),
                         across = a.t().contiguous();
        const at::Tensor defined = a.to(at::kDouble).matmul(b.to(at::kDouble));
        at::Tensor c = at::full({rows, columns}, 7, at::kFloat);
        const auto product = [&](const fused::Matrix& left, bool add) {
          fused::multiply(rows, columns, inner, left, b.const_data_ptr<float>(), columns, c.data_ptr<float>(), columns, add);
        };
        product({a.const_data_ptr<float>(), inner, 1}, false);
        EXPECT_LT(relative_distance(c, defined), 1e-6);
        product({across.const_data_ptr<float>(), 1, rows}, true);
        EXPECT_LT(relative_distance(c, 2 * defined), 1e-6);
      }
    }
  }
}

struct Heads {
  std::int64_t heads, groups, width;
};

// Each sequence by itself, with a mask that is written out.
at::Tensor attention_by_definition(const Tensors& x, const fused::Sequences& sequences, const Heads& shape, double scale,
                                   double cap) {
  const auto one = [&](const at::Tensor& rows, std::int64_t asked) {
    const std::int64_t keys = rows.size(0), each = shape.heads / shape.groups;
    const at::Tensor q = x[0].index_select(0, rows), k = x[1].index_select(0, rows).repeat_interleave(each, 1),
                     v = x[2].index_select(0, rows).repeat_interleave(each, 1);
    at::Tensor scores = at::einsum("ihd,jhd->hij", {q, k}) * scale;
    if (cap > 0) scores = cap * at::tanh(scores / cap);
    const at::Tensor i = at::arange(keys).unsqueeze(1), j = at::arange(keys).unsqueeze(0);
    at::Tensor hidden = j > i;
    if (sequences.window > 0) hidden = hidden.logical_or(j <= i - sequences.window);
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    return at::einsum("hij,jhd->ihd", {at::softmax(scores, -1), v}).reshape({keys, -1}).narrow(0, keys - asked, asked);
  };
  const at::Tensor begun = at::arange(sequences.prefix);
  Tensors parts;
  if (sequences.prefix > 0) parts.push_back(one(begun, sequences.prefix));
  std::int64_t first = sequences.prefix;
  for (const auto length : sequences.lengths) {
    parts.push_back(one(at::cat({begun, at::arange(first, first + length)}), length));
    first += length;
  }
  return at::cat(parts);
}

TEST(Fused, AttentionIsThatOfTheFormula) {
  for (const Heads& shape : {Heads{9, 3, 64}, Heads{4, 4, 32}, Heads{4, 1, 6}}) {
    for (const std::int64_t prefix : {0, 1, 70}) {
      for (const auto& [window, cap] : {std::pair<std::int64_t, double>{0, 0}, {2, 0}, {9, 0}, {0, 5}, {9, 50}}) {
        const fused::Sequences sequences{prefix, {1, 61, 16, 60, 130}, window};
        const std::int64_t tokens =
            prefix + std::accumulate(sequences.lengths.begin(), sequences.lengths.end(), std::int64_t{0});
        const double scale = 1 / std::sqrt(static_cast<double>(shape.width));
        const double most = cap;
        expect_defined([&](const Tensors& x) { return fused::attend(x[0], x[1], x[2], sequences, scale, most); },
                       [&](const Tensors& x) { return attention_by_definition(x, sequences, shape, scale, most); },
                       {2 * normal({tokens, shape.heads, shape.width}, 1), 2 * normal({tokens, shape.groups, shape.width}, 2),
                        normal({tokens, shape.groups, shape.width}, 3)},
                       std::to_string(shape.width) + " " + std::to_string(prefix) + " " + std::to_string(window) + " " +
                           std::to_string(cap));
      }
    }
  }
}

TEST(Fused, ARowsAttentionDoesNotDependOnTheOthers) {
  const at::Tensor q = normal({90, 4, 32}, 1).to(at::kFloat), k = normal({90, 2, 32}, 2).to(at::kFloat),
                   v = normal({90, 2, 32}, 3).to(at::kFloat);
  const at::Tensor together = fused::attend(q, k, v, {0, {20, 70}, 0}, 0.2);
  const auto rest = [](const at::Tensor& x) { return x.narrow(0, 20, 70); };
  EXPECT_TRUE(fused::attend(rest(q), rest(k), rest(v), {0, {70}, 0}, 0.2).equal(rest(together)));
}

TEST(Fused, ASecondDerivativeIsRefused) {
  const at::Tensor x = normal({4, 8}, 1).to(at::kFloat).set_requires_grad(true);
  const at::Tensor y = fused::gated_unit(x, x).sum();
  try {
    torch::autograd::grad({y}, {x}, {}, true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("take differences of gradients"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace holdfast
