// Keys and values of tokens already seen, so that each is computed once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace holdfast {

/// For up to B sequences, a row each: slot t of a row holds the token at position t. lengths[b] slots are filled.
struct KvCache {
  std::vector<at::Tensor> keys;    // a layer: (B, kv_heads, capacity, head_width)
  std::vector<at::Tensor> values;  // the same
  std::vector<std::int64_t> lengths;

  std::int64_t batch() const { return static_cast<std::int64_t>(lengths.size()); }
  /// Row `to` becomes that of the sequence of row `from`.
  void move(std::int64_t from, std::int64_t to);
  /// Row `to` begins with the sequence of another cache's row `from`.
  void begin_with(const KvCache& other, std::size_t from, std::size_t to);
};

}  // namespace holdfast
