// Questions over HTTP to the services of OpenAI's /v1 and of the servers that copy it: chat completions and moderations.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "judge/completion.h"

namespace holdfast {

struct Endpoint {
  std::string url;               // up to and with "/v1"
  std::string key = {};          // a secret: in no file and no message; empty: none is sent
  double timeout = 120;          // seconds of one request
  std::int64_t retries = 6;      // requests after the first, for one answer
  double backoff = 1;            // seconds: a retry waits for a random part of backoff * 2^n, at most a minute
  std::int64_t concurrency = 4;  // requests under way at a time
};

/// Seconds before retry number `attempt` (from 0): full jitter (`uniform` in [0, 1)), never less than the server asks for.
double retry_delay(double backoff, std::int64_t attempt, double uniform, double retry_after);

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
