#include "model/kv_cache.h"

#include <ATen/ops/tensor.h>

namespace holdfast {

void KvCache::select(const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> kept;
  for (const auto row : rows) kept.push_back(lengths[row]);
  lengths = kept;
  if (keys.empty()) return;
  const at::Tensor index = at::tensor(rows, at::kLong).to(keys.front().device());
  for (auto* tensors : {&keys, &values}) {
    for (auto& tensor : *tensors) tensor = tensor.index_select(0, index);
  }
}

}  // namespace holdfast
