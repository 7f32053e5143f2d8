// A request for a chat completion, and one for a moderation.
#pragma once

#include <holdfast/dataset.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// What a customer leaves open is decoded as the scenario's [evaluate] says.
struct ChatRequest {
  std::string model;
  Conversation messages;  // ends with a user turn
  std::optional<std::int64_t> max_tokens = {};
  std::optional<double> temperature = {}, top_p = {};
  std::optional<std::int64_t> seed = {};
  bool stream = false;
  bool include_usage = false;  // in a chunk of its own, last
};

/// The body of POST /v1/chat/completions. Throws ApiError.
ChatRequest chat_request(const Json& body);

struct ModerationRequest {
  std::string model = {};  // empty: whoever moderates
  std::vector<std::string> texts;
};

/// The body of POST /v1/moderations. Throws ApiError.
ModerationRequest moderation_request(const Json& body);

}  // namespace holdfast
