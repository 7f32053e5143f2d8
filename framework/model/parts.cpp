#include "model/parts.h"

#include <ATen/ATen.h>

namespace holdfast {
at::Tensor attend_parts(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const Layout& layout, bool sliding) {
  const auto rows = layout.spans.counts();
  const auto queries = q.split_with_sizes(rows), keys = k.split_with_sizes(rows), values = v.split_with_sizes(rows);
  std::vector<at::Tensor> made;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Layout& part = layout.parts[i];
    made.push_back(attend(config, queries[i], keys[i], values[i], part, sliding ? part.sliding : part.full, std::nullopt));
  }
  return at::cat(made);
}

at::Tensor by_part(const Layout& layout, const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& function) {
  if (layout.parts.empty()) return function(x);
  std::vector<at::Tensor> made;
  for (const auto& part : x.split_with_sizes(layout.spans.counts())) made.push_back(function(part));
  return at::cat(made);
}

}  // namespace holdfast
