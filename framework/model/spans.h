// Whose adapters the rows of a forward go through, where they belong to several decoders on the same weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/adapters.h"

namespace holdfast {

/// Consecutive rows that go through one set of adapters.
struct Run {
  std::int64_t rows = 0;
  const Adapters* adapters = nullptr;  // null: none
};

/// All rows of one set.
struct Span {
  std::vector<std::int64_t> rows;
  const Adapters* adapters = nullptr;
};

struct Spans {
  std::vector<Span> each;    // none: the adapters of the decoder that is called
  at::Tensor order, places;  // (N) the rows set by set, and the place of each row there; undefined: they stand so already

  std::vector<std::int64_t> counts() const;
};

/// From all rows in their order; several runs may have the same adapters.
Spans spans_of(const std::vector<Run>& runs, at::Device device);

}  // namespace holdfast
