// Conversations as JSON.
#pragma once

#include <holdfast/dataset.h>

#include "base/json.h"

namespace holdfast {

/// [{"role", "content"}, ...]
Json to_json(const Conversation& conversation);
Conversation conversation_from_json(const Json& json);

}  // namespace holdfast
