// What a request to the store's server is refused with.
#pragma once

#include <string>

#include "base/json.h"

namespace holdfast {

/// Thrown by whoever serves a request: the HTTP status and one sentence for whoever sent it.
struct Refusal {
  int status = 400;
  std::string sentence;
  Json more = {};  // an object that goes with it, for programs
};

}  // namespace holdfast
