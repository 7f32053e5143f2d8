// Post-processors of a tokenizer.json: the special tokens put around a text.
#pragma once

#include <cstdint>
#include <vector>

#include "text/definition.h"

namespace holdfast {

/// Ids to put before and after the tokens of a single text.
struct PostProcessor {
  std::vector<std::int64_t> before;
  std::vector<std::int64_t> after;

  /// Throws Error for a type that is not supported.
  static PostProcessor from_json(const Definition& definition);
};

}  // namespace holdfast
