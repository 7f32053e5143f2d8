#include "judge/retries.h"

#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <random>

#include "judge/discretion.h"

namespace holdfast {
namespace {

constexpr double kLongestBackoff = 60;

// Only waits depend on it, and they should differ between workers.
double jitter() {
  static std::mutex mutex;
  static Random random(std::random_device{}());
  const std::lock_guard lock(mutex);
  return random.uniform();
}

}  // namespace

double retry_delay(double backoff, std::int64_t attempt, double uniform, double retry_after) {
  const double longest =
      std::min(kLongestBackoff, backoff * std::exp2(static_cast<double>(std::min<std::int64_t>(attempt, 30))));
  return std::max(uniform * longest, retry_after);
}

bool send_until_taken(HttpClient& http, const Endpoint& endpoint, HttpRequest request,
                      const std::function<Taken(const HttpReply&)>& take, const std::function<bool(double)>& pause) {
  request.bearer = endpoint.key;
  request.timeout = endpoint.timeout;
  for (std::int64_t attempt = 0;; ++attempt) {
    if (!pause(0)) return false;
    HttpReply reply = http.send(request);
    reply.body = discreet(std::move(reply.body), endpoint.key);
    const Taken taken = take(reply);
    if (taken.done) return true;
    if (!taken.again) throw Error("the endpoint " + request.url + " refuses: " + taken.trouble);
    if (attempt == endpoint.retries) {
      throw Error("the endpoint " + request.url + " gave no answer in " + std::to_string(attempt + 1) +
                  (attempt == 0 ? " attempt: " : " attempts, the last time: ") + taken.trouble +
                  "; run the same command again when it works, or raise \"retries\" and \"timeout\"");
    }
    if (!pause(retry_delay(endpoint.backoff, attempt, jitter(), reply.retry_after))) return false;
  }
}

}  // namespace holdfast
