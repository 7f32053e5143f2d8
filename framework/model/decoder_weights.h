// The tensors that a configuration calls for.
#pragma once

#include "model/config.h"
#include "model/linear.h"

namespace holdfast {

inline constexpr char kEmbeddingWeight[] = "model.embed_tokens.weight";
inline constexpr char kHeadWeight[] = "lm_head.weight";  // where the head is not tied to the embedding
/// "model.layers.3."
std::string layer_name(std::int64_t layer);

/// "[480, 32]"
std::string shape_text(at::IntArrayRef shape);

/// Every tensor of a checkpoint by its name, and its shape.
using WeightShapes = std::map<std::string, std::vector<std::int64_t>>;
WeightShapes weight_shapes(const ModelConfig& config);

/// Throws Error naming `source` for a missing, surplus or wrongly shaped tensor.
void check_shapes(const ModelConfig& config, const NamedTensors& weights, const std::string& source);

}  // namespace holdfast
