#include "model/placement.h"

#include <algorithm>
#include <charconv>

#include "model/decoder_weights.h"

namespace holdfast {
namespace {

constexpr std::string_view kBlocks = "model.layers.";

}  // namespace

Placement::Placement(const ModelConfig& config, std::vector<c10::Device> devices)
    : devices_(std::move(devices)), layers_(config.layers) {
  double blocks = 0, others = 0;
  for (const auto& [name, shape] : weight_shapes(config)) {
    double numbers = 1;
    for (const auto size : shape) numbers *= static_cast<double>(size);
    (name.starts_with(kBlocks) ? blocks : others) += numbers;
  }
  outside_ = others * static_cast<double>(layers_) / blocks;
}

c10::Device Placement::of(const std::string& tensor) const {
  if (devices_.size() == 1 || !tensor.starts_with(kBlocks)) return devices_.front();
  std::int64_t layer = 0;
  std::from_chars(tensor.data() + kBlocks.size(), tensor.data() + tensor.size(), layer);
  // Where the middle of the block lies in the row of all that there is, the first device's own before it.
  const double share = (outside_ + static_cast<double>(layer) + 0.5) / (outside_ + static_cast<double>(layers_));
  const auto last = devices_.size() - 1;
  return devices_[std::min(last, static_cast<std::size_t>(share * static_cast<double>(devices_.size())))];
}

}  // namespace holdfast
