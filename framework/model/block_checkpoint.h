// Blocks that keep their input only and run again in the backward pass (Chen et al. 2016, arXiv 1604.06174).
#pragma once

#include "model/block.h"

namespace holdfast {

/// What the block makes of the state, with a graph that holds the state and the block's weights and nothing that lies between:
/// the backward pass computes that once more. Nobody may listen to the block. Values and gradients are those of the plain block
/// to the bit, where nothing else reads the state; what runs again is counted again (model/flops.h).
at::Tensor checkpointed(const Block& block, const ModelConfig& config, const at::Tensor& state, const Layout& layout);

}  // namespace holdfast
