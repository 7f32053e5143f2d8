// Against the definition, token by token.
#include "learn/nucleus.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace holdfast {
namespace {

std::int64_t by_definition(const at::Tensor& logits, double temperature, double top_p, double draw) {
  const at::Tensor shares = at::softmax(logits.to(at::kDouble) / temperature, -1).contiguous();
  const auto* share = shares.data_ptr<double>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(shares.numel()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return share[a] > share[b]; });
  double mass = 0;
  std::size_t kept = 0;
  while (kept < order.size() && (kept == 0 || mass < top_p)) mass += share[order[kept++]];
  double sum = 0;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    sum += share[order[i]];
    if (sum > draw * mass) return order[i];
  }
  return order[kept - 1];
}

// spread: how far apart logits lie; flat ones share the probability among thousands, so that the first look does not suffice.
void expect_definition(std::int64_t vocabulary, double spread, double temperature, double top_p) {
  const at::Tensor logits = at::randn({40, vocabulary}) * spread;
  std::vector<double> draws;
  for (std::int64_t b = 0; b < logits.size(0); ++b) draws.push_back((static_cast<double>(b) + 0.5) / 40);
  const auto tokens = nucleus_tokens(logits, temperature, top_p, draws);
  for (std::int64_t b = 0; b < logits.size(0); ++b) {
    EXPECT_EQ(tokens[static_cast<std::size_t>(b)],
              by_definition(logits[b], temperature, top_p, draws[static_cast<std::size_t>(b)]))
        << "row " << b << " of " << vocabulary << " words, spread " << spread << ", top-p " << top_p;
  }
}

TEST(Nucleus, DrawsAsDefined) {
  at::manual_seed(1);
  for (const double spread : {0.1, 3.0, 8.0}) {
    for (const double top_p : {0.05, 0.5, 0.95, 1.0}) {
      expect_definition(9, spread, 1, top_p);
      expect_definition(300, spread, 0.7, top_p);
      expect_definition(9000, spread, 1.3, top_p);
    }
  }
}

at::Tensor rows_of(const std::vector<double>& numbers, std::int64_t width) {
  return at::tensor(numbers, at::kDouble).view({-1, width});
}

TEST(Nucleus, NeverLeavesTheSet) {
  const at::Tensor logits = rows_of({5, 4, -50, -60}, 4);
  EXPECT_EQ(nucleus_tokens(logits, 1, 0.5, {0.999999}).front(), 0);
  EXPECT_EQ(nucleus_tokens(logits, 1, 0.9, {0.999999}).front(), 1);
  EXPECT_EQ(nucleus_tokens(logits, 1, 0.9, {0.0}).front(), 0);
}

TEST(Nucleus, NeverTakesAForbiddenToken) {
  const double never = -std::numeric_limits<double>::infinity();
  const at::Tensor logits = rows_of({never, 1, never, 2}, 4);
  EXPECT_EQ(nucleus_tokens(logits, 1, 1, {0.0}).front(), 3);
  EXPECT_EQ(nucleus_tokens(logits, 1, 1, {std::nextafter(1.0, 0.0)}).front(), 1);
}

TEST(Nucleus, GivesEachRowItsOwnDraw) {
  const at::Tensor logits = rows_of({1, 0, 0, 1, 1, 0}, 2);  // shares 0.73 and 0.27
  EXPECT_THAT(nucleus_tokens(logits, 1, 1, {0.7, 0.8, 0.8}), testing::ElementsAre(0, 0, 1));
}

}  // namespace
}  // namespace holdfast
