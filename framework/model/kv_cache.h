// Keys and values of tokens already seen, so that each is computed once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace holdfast {

/// For B sequences: slot t of a sequence holds its token at position t. lengths[b] slots are filled.
struct KvCache {
  std::vector<at::Tensor> keys;    // a layer: (B, kv_heads, capacity, head_width)
  std::vector<at::Tensor> values;  // the same
  std::vector<std::int64_t> lengths;

  std::int64_t batch() const { return static_cast<std::int64_t>(lengths.size()); }
  /// Keeps the named sequences only, in this order; a row may be named more than once.
  void select(const std::vector<std::int64_t>& rows);
};

}  // namespace holdfast
