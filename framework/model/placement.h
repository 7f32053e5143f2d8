// Which device each tensor of a decoder lies on, where a model is spread over several.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "model/config.h"

namespace holdfast {

/// Blocks go to the devices in their order, as evenly as their sizes allow; embedding, final norm and head lie on the first,
/// which has fewer blocks for it. So tokens go in and states come out at one device, and a forward passes each border between
/// devices once, and back to the first.
class Placement {
 public:
  /// At least one device; a device may be named more than once.
  Placement(const ModelConfig& config, std::vector<c10::Device> devices);

  /// By the tensor's name in a checkpoint.
  c10::Device of(const std::string& tensor) const;

 private:
  std::vector<c10::Device> devices_;
  double outside_ = 0;  // the size of what belongs to no block, in blocks
  std::int64_t layers_ = 0;
};

}  // namespace holdfast
