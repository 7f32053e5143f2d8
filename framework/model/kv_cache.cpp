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

void KvCache::begin_with(const KvCache& other, std::size_t from, std::size_t to) {
  const std::int64_t length = other.lengths[from];
  const auto copy = [&](const Tensors& given, const Tensors& taken) {
    for (std::size_t layer = 0; layer < given.size(); ++layer) {
      const at::Tensor row = given[layer][static_cast<std::int64_t>(from)];
      taken[layer][static_cast<std::int64_t>(to)].narrow(1, 0, length).copy_(row.narrow(1, 0, length));
    }
  };
  copy(other.keys, keys);
  copy(other.values, values);
  lengths[to] = length;
}

}  // namespace holdfast
