#include "model/kv_cache.h"

namespace holdfast {
namespace {

using Tensors = std::vector<at::Tensor>;

}  // namespace

void KvCache::move(std::int64_t from, std::int64_t to) {
  const std::int64_t length = lengths[static_cast<std::size_t>(from)];
  for (const Tensors* tensors : {&keys, &values}) {
    for (const auto& tensor : *tensors) tensor[to].narrow(1, 0, length).copy_(tensor[from].narrow(1, 0, length));
  }
  lengths[static_cast<std::size_t>(to)] = length;
}

void KvCache::begin_with(const KvCache& other, std::int64_t first, std::int64_t rows) {
  const std::int64_t length = other.lengths.front();
  const auto copy = [&](const Tensors& from, const Tensors& to) {
    for (std::size_t layer = 0; layer < from.size(); ++layer) {
      to[layer].narrow(0, first, rows).narrow(2, 0, length).copy_(from[layer].narrow(2, 0, length));
    }
  };
  copy(other.keys, keys);
  copy(other.values, values);
  for (std::int64_t row = first; row < first + rows; ++row) lengths[static_cast<std::size_t>(row)] = length;
}

}  // namespace holdfast
