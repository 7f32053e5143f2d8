// Pre-tokenizers of a tokenizer.json: text cut into pieces that no token crosses.
#pragma once

#include <memory>
#include <vector>

#include "text/aligned_text.h"
#include "text/definition.h"

namespace holdfast {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Cuts one piece and appends its non-empty parts to `out`.
  virtual void split(AlignedText piece, std::vector<AlignedText>& out) const = 0;

  /// Throws Error for a type that is not supported.
  static std::unique_ptr<const PreTokenizer> from_json(const Definition& definition);
};

}  // namespace holdfast
