// Decoders of a tokenizer.json: tokens back to text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/definition.h"

namespace holdfast {

class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  /// The strings whose concatenation is the text.
  virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;

  /// Throws Error for a type that is not supported.
  static std::unique_ptr<const TokenDecoder> from_json(const Definition& definition);
};

}  // namespace holdfast
