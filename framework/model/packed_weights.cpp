#include "model/packed_weights.h"

#include <ATen/ATen.h>

#include "base/free_memory.h"
#include "model/decoder.h"

namespace holdfast {
namespace {

bool worth_packing(const Decoder& decoder) {
  if (!decoder.device().is_cpu() || decoder.dtype() != at::kFloat) return false;
  std::uint64_t bytes = 0;
  for (const auto& [name, weight] : decoder.weights()) {
    if (!weight.is_contiguous()) return false;
    bytes += weight.nbytes();
  }
  return bytes < free_memory() / 2;
}

PackedBlock packed(const std::vector<const Linear*>& linears) {
  const auto weights = [&](std::size_t first, std::size_t last) {
    std::vector<at::Tensor> some;
    for (std::size_t i = first; i < last; ++i) some.push_back(linears[i]->weight);
    return PackedProduct(some);
  };
  return {weights(0, 3), weights(3, 4), weights(4, 6), weights(6, 7)};  // in the order of kLinearNames
}

}  // namespace

PackedWeights::PackedWeights(const Decoder& decoder) : decoder_(decoder) {
  if (!worth_packing(decoder)) return;
  for (std::int64_t layer = 0; layer < decoder.config().layers; ++layer) blocks_.push_back(packed(decoder.linears(layer)));
  head_.emplace(std::vector<at::Tensor>{decoder.head()});
  decoder_.use_packed(this);
}

PackedWeights::~PackedWeights() { decoder_.use_packed(nullptr); }

}  // namespace holdfast
