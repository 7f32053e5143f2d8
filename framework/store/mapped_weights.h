// Weights in files that all workers of a machine map: one copy in memory, however many use it.
#pragma once

#include <optional>
#include <string>

#include "model/linear.h"
#include "store/store.h"

namespace holdfast {

/// Checkpoints that are not in the dtype they are used in (bfloat16, GGUF), and weights that many stages start from, once more:
/// whole, in that dtype, beside the store's artifacts. A file is there whole or not at all, and its SHA-256 is checked when a
/// process first maps it. They can be made again from what they were made of, and the disk budget drops them first.
class MappedWeights {
 public:
  explicit MappedWeights(Store& store) : store_(store) {}

  /// Weights of that content digest, as tensors that lie in a file (model/safetensors.h). Nothing when there is none; one that
  /// is damaged is removed with a warning.
  std::optional<NamedTensors> find(const std::string& digest, const std::string& dtype);
  /// Writes these, on the CPU, and maps them; when another process was faster its file is taken. Nothing, with a warning, where
  /// they cannot be written.
  std::optional<NamedTensors> put(const std::string& digest, const std::string& dtype, const NamedTensors& weights);

 private:
  fs::path folder(const std::string& digest, const std::string& dtype) const;

  Store& store_;
};

}  // namespace holdfast
