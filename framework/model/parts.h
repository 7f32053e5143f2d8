// What a forward of several decoders' rows computes part by part, so that its last bits are those of each part alone. Letters
// of shapes: decoder.h.
#pragma once

#include <functional>

#include "model/attention.h"

namespace holdfast {

/// attend() of each part by itself: q (N, H, D), k and v (N, G, D) -> (N, H * D).
at::Tensor attend_parts(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const Layout& layout, bool sliding);

/// A function of rows, whose kernel may round the same row otherwise where it stands elsewhere; of all rows where the layout
/// has no parts.
at::Tensor by_part(const Layout& layout, const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& function);

}  // namespace holdfast
