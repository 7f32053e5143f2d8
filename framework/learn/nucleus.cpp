#include "learn/nucleus.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>

namespace holdfast {
namespace {

constexpr std::int64_t kFirstLook = 1024;

// Among the `looked` likeliest of each row; -1 where the token of a row may lie behind them. shares (B, V), draws (B, 1).
at::Tensor tokens_among(const at::Tensor& shares, std::int64_t looked, double top_p, const at::Tensor& draws) {
  const auto [likeliest, tokens] = shares.topk(looked, -1);
  const at::Tensor sums = likeliest.cumsum(-1);
  const at::Tensor before = sums - likeliest;
  const at::Tensor kept = at::logical_and(before<top_p, likeliest> 0).sum(-1, /*keepdim=*/true).clamp_min(1);
  // All of a row's probability where the set takes everything, of which only the beginning is looked at.
  const bool everything = top_p >= 1 && looked < shares.size(1);
  const at::Tensor mass = everything ? shares.sum(-1, /*keepdim=*/true) : sums.gather(-1, kept - 1);
  const at::Tensor bar = draws * mass;
  const at::Tensor place = at::minimum((sums <= bar).sum(-1, /*keepdim=*/true), kept - 1);
  const at::Tensor chosen = tokens.gather(-1, place);
  if (looked == shares.size(1)) return chosen.squeeze(-1);
  const at::Tensor last = sums.narrow(-1, looked - 1, 1);
  return at::where(everything ? last > bar : last >= top_p, chosen, -1).squeeze(-1);
}

}  // namespace

std::vector<std::int64_t> nucleus_tokens(const at::Tensor& logits, double temperature, double top_p,
                                         const std::vector<double>& draws) {
  HOLDFAST_CHECK(static_cast<std::int64_t>(draws.size()) == logits.size(0));
  const at::Tensor shares = at::softmax(logits.to(at::kDouble) / temperature, -1);
  const at::Tensor drawn = at::tensor(draws, at::kDouble).unsqueeze(-1).to(logits.device());
  for (std::int64_t looked = std::min(kFirstLook, shares.size(1));; looked = std::min(16 * looked, shares.size(1))) {
    const at::Tensor tokens = tokens_among(shares, looked, top_p, drawn).cpu();
    const auto* first = tokens.data_ptr<std::int64_t>();
    if (std::find(first, first + tokens.numel(), -1) == first + tokens.numel()) return {first, first + tokens.numel()};
  }
}

}  // namespace holdfast
