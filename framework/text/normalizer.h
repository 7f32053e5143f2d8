// Normalizers of a tokenizer.json: text rewritten before it is cut.
#pragma once

#include <memory>

#include "text/aligned_text.h"
#include "text/definition.h"

namespace holdfast {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual AlignedText apply(AlignedText text) const = 0;

  /// Throws Error for a type that is not supported.
  static std::unique_ptr<const Normalizer> from_json(const Definition& definition);
};

}  // namespace holdfast
