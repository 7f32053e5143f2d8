// A decoder's weights as the kernels of the CPU read them fastest, for many forwards over few tokens each.
#pragma once

#include <optional>
#include <vector>

#include "model/product.h"

namespace holdfast {

class Decoder;

struct PackedBlock {
  PackedProduct query_key_value, output, gate_up, down;
};

/// A guard: while it lives, forwards of the decoder without graph and without listeners multiply by what was packed, with the
/// same bits. Nobody may change a weight meanwhile. Does nothing for a decoder that is not in float32 on the CPU, and where the
/// memory that it takes, as much as the weights again, would be more than half of what is free.
class PackedWeights {
 public:
  explicit PackedWeights(const Decoder& decoder);
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  const PackedBlock& block(std::int64_t layer) const { return blocks_[static_cast<std::size_t>(layer)]; }
  const PackedProduct& head() const { return *head_; }

 private:
  const Decoder& decoder_;
  std::vector<PackedBlock> blocks_;
  std::optional<PackedProduct> head_;
};

}  // namespace holdfast
