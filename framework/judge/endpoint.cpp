#include "judge/endpoint.h"

#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <random>
#include <thread>

#include "base/untrusted.h"

namespace holdfast {
namespace {

constexpr double kLongestBackoff = 60;

// All requests of one call, on threads that each keep a connection.
class ServiceRun {
 public:
  using Take = std::function<void(std::size_t, const Answer&)>;

  ServiceRun(const Endpoint& endpoint, const Service& service, const std::vector<Json>& bodies, const Take& take)
      : endpoint_(endpoint), service_(service), bodies_(bodies), take_(take), url_(endpoint.url + service.path) {}

  void run() {
    {
      std::vector<std::jthread> threads;
      const auto wanted = std::min(static_cast<std::size_t>(endpoint_.concurrency), bodies_.size());
      for (std::size_t i = 0; i < wanted; ++i) threads.emplace_back([this] { work(); });
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() {
    try {
      HttpClient http;
      for (std::size_t i = next_++; i < bodies_.size(); i = next_++) {
        const auto answer = fetch(http, canonical(bodies_[i]));
        if (!answer) return;
        const std::lock_guard lock(mutex_);
        take_(i, *answer);
      }
    } catch (...) {
      stop(std::current_exception());
    }
  }

  // Nothing when another request failed for good meanwhile.
  std::optional<Answer> fetch(HttpClient& http, const std::string& body) {
    for (std::int64_t attempt = 0;; ++attempt) {
      if (stopped()) return std::nullopt;
      HttpReply reply = http.post(url_, endpoint_.key, body, endpoint_.timeout);
      reply.body = discreet(std::move(reply.body));
      Completion completion = service_.read(reply);
      if (completion.answer) return completion.answer;
      if (!completion.again) {
        throw Error("the endpoint " + url_ + " refuses: " + completion.trouble);
      }
      if (attempt == endpoint_.retries) {
        throw Error("the endpoint " + url_ + " gave no answer in " + std::to_string(attempt + 1) +
                    (attempt == 0 ? " attempt: " : " attempts, the last time: ") + completion.trouble +
                    "; run the same command again when it works, or raise \"retries\" and \"timeout\"");
      }
      pause(retry_delay(endpoint_.backoff, attempt, uniform(), reply.retry_after));
    }
  }

  // Servers like to quote what they were sent; what they say ends in messages and files. In JSON a key may be written with
  // escapes.
  std::string discreet(std::string body) const {
    if (endpoint_.key.empty()) return body;
    Json json = body.find('\\') == std::string::npos ? Json(Json::value_t::discarded) : json_or_discarded(body);
    if (json.is_discarded()) return without_key(std::move(body));
    make_discreet(json);
    return json.dump();
  }

  void make_discreet(Json& json) const {
    if (json.is_string()) json = without_key(json.get<std::string>());
    if (!json.is_structured()) return;
    for (auto& part : json) make_discreet(part);
  }

  std::string without_key(std::string text) const {
    static const std::string kInstead = "[key]";
    const std::string& key = endpoint_.key;
    for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at + kInstead.size())) {
      text.replace(at, key.size(), kInstead);
    }
    return text;
  }

  double uniform() {
    const std::lock_guard lock(mutex_);
    return random_.uniform();
  }

  void pause(double seconds) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return failure_ != nullptr; });
  }

  bool stopped() {
    const std::lock_guard lock(mutex_);
    return failure_ != nullptr;
  }

  void stop(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    wake_.notify_all();
  }

  const Endpoint& endpoint_;
  const Service& service_;
  const std::vector<Json>& bodies_;
  const Take& take_;
  const std::string url_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;  // of take_ and all that follows
  std::condition_variable wake_;
  std::exception_ptr failure_;
  Random random_{std::random_device()()};  // only waits depend on it, and they should differ between workers
};

}  // namespace

double retry_delay(double backoff, std::int64_t attempt, double uniform, double retry_after) {
  const double longest =
      std::min(kLongestBackoff, backoff * std::exp2(static_cast<double>(std::min<std::int64_t>(attempt, 30))));
  return std::max(uniform * longest, retry_after);
}

void ask_service(const Endpoint& endpoint, const Service& service, const std::vector<Json>& bodies,
                 const std::function<void(std::size_t, const Answer&)>& take) {
  ServiceRun(endpoint, service, bodies, take).run();
}

}  // namespace holdfast
