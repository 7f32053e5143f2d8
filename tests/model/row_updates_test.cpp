// Low-rank updates of rows that belong to several sets of adapters.
#include "model/row_updates.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "model/flops.h"
#include "model/linear.h"

namespace holdfast {
namespace {

at::Tensor waves(at::IntArrayRef shape, double phase) {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  return at::sin(at::arange(count, at::kDouble) * 0.7 + phase).to(at::kFloat).reshape(shape);
}

// Three sets of other ranks; the second does not adapt the linear.
class RowUpdates : public testing::Test {
 protected:
  RowUpdates() {
    sets_[0]["layer.q_proj"] = {waves({5, kIn}, 1), waves({kOut, 5}, 2), 0.5};
    sets_[1]["layer.other"] = {waves({5, kIn}, 1), waves({kOut, 5}, 2), 0.5};
    sets_[2]["layer.q_proj"] = {waves({50, kIn}, 3), waves({kOut, 50}, 4), 2};
  }

  // The sum of W x, the bias and scale * B A x, in float64, row by row.
  at::Tensor wanted(const at::Tensor& x, const std::vector<std::size_t>& owners) const {
    std::vector<at::Tensor> rows;
    for (std::size_t i = 0; i < owners.size(); ++i) {
      const at::Tensor row = x[static_cast<std::int64_t>(i)].to(at::kDouble);
      at::Tensor y = at::mv(linear_.weight.to(at::kDouble), row) + linear_.bias->to(at::kDouble);
      const auto found = sets_[owners[i]].find(linear_.module);
      if (found != sets_[owners[i]].end()) {
        const LoraFactors& lora = found->second;
        y = y + at::mv(lora.b.to(at::kDouble), at::mv(lora.a.to(at::kDouble), row)) * lora.scale;
      }
      rows.push_back(y);
    }
    return at::stack(rows);
  }

  Spans spans(const std::vector<std::size_t>& owners) const {
    std::vector<holdfast::Run> runs;  // testing::Test has a Run of its own
    for (const auto owner : owners) runs.push_back({1, &sets_[owner]});
    return spans_of(runs, at::kCPU);
  }

  static constexpr std::int64_t kIn = 1100, kOut = 70;  // more than a panel's part, and no whole number of panels
  Linear linear_{"layer.q_proj", waves({kOut, kIn}, 5), waves({kOut}, 6)};
  Adapters sets_[3];
};

TEST_F(RowUpdates, AreThoseOfEachRowsOwnSet) {
  const std::vector<std::size_t> owners = {2, 0, 0, 1, 2, 0, 1, 2, 2};
  const at::Tensor x = waves({static_cast<std::int64_t>(owners.size()), kIn}, 7);
  for (const bool graph : {false, true}) {  // the kernels, and ATen's products
    const c10::AutoGradMode mode(graph);
    const at::Tensor y = linear_(x, spans(owners));
    EXPECT_LT((y.to(at::kDouble) - wanted(x, owners)).abs().max().item<double>(), 1e-2) << graph;
  }
}

TEST_F(RowUpdates, OfARowAreTheSameBitsWhateverElseIsThere) {
  const c10::NoGradGuard no_grad;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < 90; ++i) owners.push_back(i * i % 3);
  const at::Tensor x = waves({90, kIn}, 8);
  const at::Tensor together = linear_(x, spans(owners));
  for (const std::int64_t row : {0, 1, 2, 50, 89}) {
    const at::Tensor alone = linear_(x.narrow(0, row, 1), spans({owners[static_cast<std::size_t>(row)]}));
    EXPECT_TRUE(at::equal(alone[0], together[row])) << row;
  }
}

TEST_F(RowUpdates, AreCountedAsTheDecodersOwnAdapters) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = waves({6, kIn}, 9);
  const auto counted = [](const auto& work) {
    const std::uint64_t before = flops_so_far();
    work();
    return flops_so_far() - before;
  };
  linear_.lora = &sets_[0].at("layer.q_proj");
  EXPECT_EQ(counted([&] { linear_(x); }), counted([&] { linear_(x, spans({0, 0, 0, 0, 0, 0})); }));
  EXPECT_EQ(counted([&] { linear_(x); }), 2u * 6 * (kIn * kOut + 5 * (kIn + kOut)));
}

TEST(SpansOf, StandSetBySet) {
  const Adapters a, b;
  const Spans sorted = spans_of({{2, &a}, {1, &b}}, at::kCPU), mixed = spans_of({{1, &a}, {2, &b}, {1, &a}}, at::kCPU);
  EXPECT_FALSE(sorted.order.defined());
  EXPECT_EQ(sorted.counts(), (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(mixed.each[0].rows, (std::vector<std::int64_t>{0, 3}));
  EXPECT_TRUE(at::equal(mixed.order, at::tensor({0, 3, 1, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(mixed.places, at::tensor({0, 2, 3, 1}, at::kLong)));
}

}  // namespace
}  // namespace holdfast
