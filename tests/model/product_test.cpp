// The CPU's own products and attention against sums written out, and their promise: a row's bits depend on nothing but the row.
#include "model/product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <bit>
#include <cmath>

#include "model/kernels/usable.h"

namespace holdfast {
namespace {

using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // rows, inner, columns

at::Tensor numbers(at::IntArrayRef shape, int seed) {
  at::Tensor made = at::empty(shape, at::kFloat);
  auto* data = made.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < made.numel(); ++i) data[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i) + seed));
  return made;
}

at::Tensor product_in_double(const at::Tensor& x, const at::Tensor& weight) {
  return at::mm(x.to(at::kDouble), weight.to(at::kDouble).t());
}

class ProductTest : public testing::TestWithParam<Shape> {};

// Sums of n terms of size 1 in float32.
double tolerance(std::int64_t inner) { return 1e-6 * static_cast<double>(inner); }

TEST_P(ProductTest, IsTheProduct) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), weight = numbers({columns, inner}, 2);
  EXPECT_LT((row_product(x, weight) - product_in_double(x, weight)).abs().max().item<double>(), tolerance(inner));
}

TEST_P(ProductTest, IsTheSameBitsWhenPacked) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), first = numbers({columns, inner}, 2), second = numbers({50, inner}, 3);
  const PackedProduct packed({first, second});
  EXPECT_FALSE(packed.narrow());
  EXPECT_TRUE(at::equal(packed(x), at::cat({row_product(x, first), row_product(x, second)}, 1)));
}

TEST_P(ProductTest, IsTheSameBitsFromHalvesOfTheMemory) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), weight = numbers({columns, inner}, 2).to(at::kBFloat16).to(at::kFloat);
  const PackedProduct packed({weight});
  EXPECT_TRUE(packed.narrow());
  EXPECT_TRUE(at::equal(packed(x), row_product(x, weight)));
}

TEST_P(ProductTest, ARowIsTheSameBitsAlone) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), weight = numbers({columns, inner}, 2), all = row_product(x, weight);
  for (std::int64_t row = 0; row < rows; row += 3) {
    EXPECT_TRUE(at::equal(row_product(x.narrow(0, row, 1), weight), all.narrow(0, row, 1)));
  }
}

TEST_P(ProductTest, GivesTheGradientOfItsRows) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor weight = numbers({columns, inner}, 2), slope = numbers({rows, columns}, 4);
  at::Tensor x = numbers({rows, inner}, 1).requires_grad_(true);
  const at::Tensor made = torch::autograd::grad({(row_product(x, weight) * slope).sum()}, {x})[0];
  const at::Tensor wanted = at::mm(slope.to(at::kDouble), weight.to(at::kDouble));
  EXPECT_LT((made - wanted).abs().max().item<double>(), tolerance(columns));
}

TEST_P(ProductTest, AddsToWhatIsThere) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), weight = numbers({columns, inner}, 2), slope = numbers({rows, columns}, 4);
  at::Tensor y = numbers({rows, columns}, 5);
  const at::Tensor wanted = y + product_in_double(x, weight);
  add_row_product(y, x, weight);
  EXPECT_LT((y - wanted).abs().max().item<double>(), tolerance(inner));
  const at::Tensor turned = at::mm(slope.to(at::kDouble), weight.to(at::kDouble));
  at::Tensor z = numbers({rows, inner}, 6);
  const at::Tensor wanted_turned = z + turned;
  EXPECT_LT((turned_row_product(slope, weight) - turned).abs().max().item<double>(), tolerance(columns));
  add_turned_row_product(z, slope, weight);
  EXPECT_LT((z - wanted_turned).abs().max().item<double>(), tolerance(columns));
}

TEST_P(ProductTest, SumsOverRows) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor a = numbers({rows, inner}, 1), b = numbers({rows, columns}, 2);
  const at::Tensor wanted = at::mm(a.to(at::kDouble).t(), b.to(at::kDouble));
  EXPECT_LT((product_over_rows(a, b) - wanted).abs().max().item<double>(), tolerance(rows));
  EXPECT_TRUE(product_over_rows(a, b).is_contiguous());
  at::Tensor y = numbers({inner, columns}, 3);
  const at::Tensor sum = y + wanted;
  add_product_over_rows(y, a, b);
  EXPECT_LT((y - sum).abs().max().item<double>(), tolerance(rows));
}

TEST_P(ProductTest, GivesTheGradientOfItsWeight) {
  const auto [rows, inner, columns] = GetParam();
  const at::Tensor x = numbers({rows, inner}, 1), slope = numbers({rows, columns}, 4);
  at::Tensor weight = numbers({columns, inner}, 2).requires_grad_(true);
  const at::Tensor made = torch::autograd::grad({(row_product(x, weight) * slope).sum()}, {weight})[0];
  const at::Tensor wanted = at::mm(slope.to(at::kDouble).t(), x.to(at::kDouble));
  EXPECT_LT((made - wanted).abs().max().item<double>(), tolerance(rows));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ProductTest,
                         testing::Values(Shape{1, 5, 3}, Shape{4, 48, 48}, Shape{7, 37, 49}, Shape{8, 576, 96},
                                         Shape{9, 64, 1000}, Shape{70, 1030, 130}, Shape{200, 33, 47}, Shape{300, 576, 16}));

TEST(Product, IsTheSameBitsWithAnyNumberOfThreads) {
  const at::Tensor x = numbers({40, 600}, 1), weight = numbers({700, 600}, 2);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = row_product(x, weight);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(row_product(x, weight), alone));
  const at::Tensor a = numbers({1500, 200}, 3), b = numbers({1500, 100}, 4), sum = product_over_rows(a, b);
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(product_over_rows(a, b), sum));
  at::set_num_threads(before);
}

TEST(Product, TakesRowsThatLieApart) {
  const at::Tensor x = numbers({6, 90}, 1), weight = numbers({20, 30}, 2), part = x.narrow(1, 30, 30);
  EXPECT_TRUE(at::equal(row_product(part, weight), row_product(part.contiguous(), weight)));
  EXPECT_TRUE(at::equal(product_over_rows(part, x), product_over_rows(part.contiguous(), x)));
}

TEST(Product, ASumOverNoRowsIsZero) {
  const at::Tensor a = numbers({0, 5}, 1), b = numbers({0, 7}, 2);
  EXPECT_TRUE(at::equal(product_over_rows(a, b), at::zeros({5, 7})));
  at::Tensor y = numbers({5, 7}, 3);
  const at::Tensor before = y.clone();
  add_product_over_rows(y, a, b);
  EXPECT_TRUE(at::equal(y, before));
}

TEST(Product, LeavesOtherTypesToOthers) {
  const at::Tensor x = numbers({2, 4}, 1), weight = numbers({3, 4}, 2);
  EXPECT_TRUE(has_row_product(x, weight));
  EXPECT_FALSE(has_row_product(x.to(at::kDouble), weight.to(at::kDouble)));
  EXPECT_FALSE(has_row_product(x, weight.to(at::kBFloat16)));
  EXPECT_FALSE(has_row_product(x, numbers({4, 3}, 2).t()));
  EXPECT_FALSE(has_row_product(numbers({2, 2, 4}, 1), weight));
}

TEST(Product, ASecondDerivativeIsRight) {
  const at::Tensor weight = numbers({5, 4}, 2);
  at::Tensor x = numbers({3, 4}, 1).requires_grad_(true);
  const at::Tensor y = row_product(x, weight);
  const at::Tensor first = torch::autograd::grad({(y * y).sum()}, {x}, {}, true, true)[0];  // 2 x W^T W
  const at::Tensor second = torch::autograd::grad({first.sum()}, {x})[0];
  const at::Tensor wanted = 2 * at::mm(at::ones({3, 4}), at::mm(weight.t(), weight));
  EXPECT_LT((second - wanted).abs().max().item<double>(), 1e-5);
}

// Through the gradients of both, against the same by libtorch's products.
TEST(Product, ASecondDerivativeOfBothIsRight) {
  const auto second = [](const auto& product) {
    at::Tensor x = numbers({6, 4}, 1).requires_grad_(true), weight = numbers({5, 4}, 2).requires_grad_(true);
    const at::Tensor y = product(x, weight);
    const auto first = torch::autograd::grad({(y * y * y).sum()}, {x, weight}, {}, true, true);
    const at::Tensor both = (first[0] * first[0]).sum() + (first[1] * first[1]).sum();
    return torch::autograd::grad({both}, {x, weight});
  };
  const auto made = second([](const at::Tensor& x, const at::Tensor& w) { return row_product(x, w); });
  const auto wanted = second([](const at::Tensor& x, const at::Tensor& w) { return at::mm(x, w.t()); });
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::allclose(made[i], wanted[i], 1e-4, 1e-4)) << i;
}

// Each kind of processor that is at hand.
class KernelTest : public testing::TestWithParam<const Kernels*> {};

TEST_P(KernelTest, MultipliesPanels) {
  const Kernels& kernel = *GetParam();
  for (const std::int64_t inner : {5, 37, 600}) {
    for (const std::int64_t columns : {1, 17, 47, 48}) {
      for (const std::int64_t rows : {1, 3, 8, 13}) {
        const at::Tensor x = numbers({rows, inner}, 1), w = numbers({columns, inner}, 2), turned = w.t().contiguous();
        at::Tensor panel = at::empty({inner, kPanel}), same = at::empty({inner, kPanel}), y = at::full({rows, 60}, 7.0F);
        kernel.pack_rows(w.data_ptr<float>(), inner, columns, inner, panel.data_ptr<float>());
        kernel.pack_columns(turned.data_ptr<float>(), columns, columns, inner, same.data_ptr<float>());
        EXPECT_TRUE(at::equal(panel, same));
        for (const bool add : {false, true}) {
          kernel.multiply(x.data_ptr<float>(), inner, rows, panel.data_ptr(), false, inner, y.data_ptr<float>(), 60, columns,
                          add, nullptr);
        }
        const at::Tensor wanted = 2 * product_in_double(x, w);
        EXPECT_LT((y.narrow(1, 0, columns) - wanted).abs().max().item<double>(), 2 * tolerance(inner)) << kernel.name;
        EXPECT_TRUE(at::equal(y.narrow(1, columns, 60 - columns), at::full({rows, 60 - columns}, 7.0F))) << kernel.name;
      }
    }
  }
}

TEST_P(KernelTest, MultipliesColumns) {
  const Kernels& kernel = *GetParam();
  for (const std::int64_t inner : {5, 37, 600}) {
    for (const std::int64_t rows : {1, 3, 8, 13, 64}) {
      const std::int64_t columns = 40;
      const at::Tensor a = numbers({inner, rows + 2}, 1), b = numbers({inner, columns}, 2);
      at::Tensor panel = at::empty({inner, kPanel}), strips = at::full({(rows + kStripRoom) * inner}, 9.0F);
      at::Tensor y = at::full({rows, 60}, 7.0F);
      kernel.pack_columns(b.data_ptr<float>(), columns, columns, inner, panel.data_ptr<float>());
      kernel.pack_strips(a.data_ptr<float>() + 1, rows + 2, rows, inner, strips.data_ptr<float>());
      for (const bool add : {false, true}) {
        kernel.multiply_strips(strips.data_ptr<float>(), rows, panel.data_ptr<float>(), inner, y.data_ptr<float>(), 60, columns,
                               add);
      }
      const at::Tensor wanted = 2 * product_in_double(a.narrow(1, 1, rows).t(), b.t());
      EXPECT_LT((y.narrow(1, 0, columns) - wanted).abs().max().item<double>(), 2 * tolerance(inner)) << kernel.name;
      EXPECT_TRUE(at::equal(y.narrow(1, columns, 60 - columns), at::full({rows, 60 - columns}, 7.0F))) << kernel.name;
    }
  }
}

// One head of one token, written out.
at::Tensor attended(const AttentionRows& a, std::int64_t token, std::int64_t head) {
  const std::int64_t last = a.start + token, first = a.window > 0 ? std::max<std::int64_t>(0, last + 1 - a.window) : 0;
  const auto row = [&](const float* data, std::int64_t place) {
    return at::from_blob(const_cast<float*>(data) + place, {a.width}, at::kFloat).to(at::kDouble);
  };
  std::vector<at::Tensor> scores, values;
  for (std::int64_t t = first; t <= last; ++t) {
    const at::Tensor score =
        (row(a.queries, token * a.query_stride + head * a.width) * row(a.keys, t * a.key_stride)).sum() * a.scale;
    scores.push_back(a.cap > 0 ? at::tanh(score / a.cap) * a.cap : score);
    values.push_back(row(a.values, t * a.value_stride));
  }
  return at::mv(at::stack(values).t(), at::softmax(at::stack(scores), 0));
}

TEST_P(KernelTest, Attends) {
  for (const std::int64_t width : {64, 20}) {
    for (const std::int64_t group : {1, 3, 5}) {
      for (const std::int64_t window : {0, 7}) {
        for (const float cap : {0.0F, 2.0F}) {
          const std::int64_t tokens = 23, start = 11, keys = start + tokens;
          const at::Tensor q = 3 * numbers({tokens, group, width}, 1), k = numbers({keys, width + 4}, 2),
                           v = numbers({keys, width}, 3);
          at::Tensor made = at::empty({tokens, group, width}), scores = at::empty({4 * 48});
          const AttentionRows rows{q.data_ptr<float>(),
                                   group * width,
                                   k.data_ptr<float>(),
                                   v.data_ptr<float>(),
                                   width + 4,
                                   width,
                                   made.data_ptr<float>(),
                                   group * width,
                                   tokens,
                                   group,
                                   width,
                                   start,
                                   window,
                                   0.4F,
                                   cap,
                                   scores.data_ptr<float>()};
          GetParam()->attend(rows);
          for (std::int64_t t = 0; t < tokens; ++t) {
            for (std::int64_t h = 0; h < group; ++h) {
              EXPECT_LT((made[t][h] - attended(rows, t, h)).abs().max().item<double>(), 1e-5) << GetParam()->name;
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Processors, KernelTest, testing::ValuesIn(usable_kernels()),
                         [](const auto& about) { return std::string(about.param->name); });

}  // namespace
}  // namespace holdfast
