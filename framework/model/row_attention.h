// Attention to a cache on the CPU in float32 without graph, by the kernels of model/kernels: no padding, no masks, each
// sequence from where it stands in the cache. The bits of a sequence do not depend on the others. Letters of shapes: decoder.h.
#pragma once

#include "model/attention.h"

namespace holdfast {

/// Whether attend_rows takes them.
bool has_row_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// What attend() computes, for the same arguments.
at::Tensor attend_rows(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const Layout& layout, const View& view, const CachedLayer& cache);

}  // namespace holdfast
