// What a judge model said.
#pragma once

#include <string>

#include "base/json.h"

namespace holdfast {

struct Answer {
  std::string text;
  Json usage = Json::object();  // "prompt_tokens", "completion_tokens", as far as they are known
  std::string declined = {};    // why the service gave no answer to this request; empty: it did
  bool cut = false;             // its longest length ended it
  bool operator==(const Answer&) const = default;
};

}  // namespace holdfast
