// Attention on a GPU through torch's flash kernels: packed sequences by where each begins, so that nothing is padded, masked or
// repeated. Letters of shapes: decoder.h.
#pragma once

#include "model/attention.h"

namespace holdfast {

/// Whether those kernels serve a model with weights of these options: 16 bits on CUDA, head widths that they have, scores that
/// are not capped. What they serve in one forward: View::flash.
bool flash_serves(const ModelConfig& config, const at::TensorOptions& options);

/// attend() where the view says so. The same bits each time, gradients included, where torch is told to be deterministic.
at::Tensor flash_attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const Layout& layout, const View& view, const std::optional<CachedLayer>& cache);

}  // namespace holdfast
