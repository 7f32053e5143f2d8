// Questions over HTTP to the services of OpenAI's /v1 and of the servers that copy it: chat completions and moderations.
#pragma once

#include <functional>
#include <vector>

#include "judge/completion.h"
#include "judge/retries.h"

namespace holdfast {

/// One of an endpoint's services: where it stands below the endpoint's address, and how its replies are read.
struct Service {
  const char* path;
  Completion (*read)(const HttpReply& reply);
};
inline constexpr Service kChatCompletions = {"/chat/completions", read_completion};
inline constexpr Service kModerations = {"/moderations", read_moderation};

/// Sends each body and hands each answer, a declined one too, to `take`, one at a time, as they come. A rate limit (429), a
/// server's error (5xx), a time limit, a broken connection and a malformed answer are retried. Throws Error when the retries
/// are used up, or at once for any other trouble (judge/completion.h); answers that came before have been taken.
void ask_service(const Endpoint& endpoint, const Service& service, const std::vector<Json>& bodies,
                 const std::function<void(std::size_t, const Answer&)>& take);

}  // namespace holdfast
