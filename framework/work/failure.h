// How a worker says what went wrong.
#pragma once

#include <exception>

#include "base/json.h"

namespace holdfast {

/// {"status": "failed", "message"}, with "broken" where something else than an Error was thrown or a file changed; {"status":
/// "corrupt", "kind", "key", "message"}; {"status": "stopped"}. The message is one sentence.
Json failure(const std::exception_ptr& error);

}  // namespace holdfast
