// Sending a request until its reply is one to work with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "judge/http.h"

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

/// What a reply was worth: all is well, or what is wrong with it and whether sending again can help.
struct Taken {
  bool done = false;
  std::string trouble = {};
  bool again = false;
};

/// Sends the request, whose key and time limit are the endpoint's, until `take` is content with the reply, from which the key
/// has been cut. `pause` waits for so many seconds; where it says that nobody waits for the answer any more, false is returned.
/// Throws Error when the retries are used up, or at once for trouble that sending again cannot mend.
bool send_until_taken(HttpClient& http, const Endpoint& endpoint, HttpRequest request,
                      const std::function<Taken(const HttpReply&)>& take, const std::function<bool(double)>& pause);

}  // namespace holdfast
