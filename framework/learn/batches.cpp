#include <ATen/ATen.h>
#include <holdfast/batches.h>

#include <algorithm>
#include <utility>

namespace holdfast {

Batches pooled(Batches first, Batches second) {
  for (auto& batch : second) first.push_back(std::move(batch));
  double labels = 0;
  for (const auto& batch : first) labels += static_cast<double>(batch.target_ids.numel());
  for (auto& batch : first) batch.normalizer = labels;
  return first;
}

DifferingTokens differing_tokens(const Batch& a, const Batch& b) {
  const auto left = a.ids.split_with_sizes(a.lengths), right = b.ids.split_with_sizes(b.lengths);
  Tensors in_left, in_right;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const std::int64_t common = std::min(left[i].size(0), right[i].size(0));
    const at::Tensor differs = left[i].narrow(0, 0, common) != right[i].narrow(0, 0, common);
    const auto whole = [&](const at::Tensor& row) {
      return at::cat({differs, at::ones({row.size(0) - common}, differs.options())});
    };
    in_left.push_back(whole(left[i]));
    in_right.push_back(whole(right[i]));
  }
  return {at::cat(in_left), at::cat(in_right)};
}

}  // namespace holdfast
