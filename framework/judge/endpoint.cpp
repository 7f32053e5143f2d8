#include "judge/endpoint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace holdfast {
namespace {

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
    std::optional<Answer> answer;
    const auto take = [&](const HttpReply& reply) {
      const Completion completion = service_.read(reply);
      answer = completion.answer;
      return Taken{completion.answer.has_value(), completion.trouble, completion.again};
    };
    HttpRequest request;
    request.url = url_;
    request.body = body;
    if (!send_until_taken(http, endpoint_, std::move(request), take, [this](double seconds) { return pause(seconds); })) {
      return std::nullopt;
    }
    return answer;
  }

  // Whether anybody still waits for answers.
  bool pause(double seconds) {
    std::unique_lock lock(mutex_);
    if (seconds > 0) wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return failure_ != nullptr; });
    return failure_ == nullptr;
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
};

}  // namespace

void ask_service(const Endpoint& endpoint, const Service& service, const std::vector<Json>& bodies,
                 const std::function<void(std::size_t, const Answer&)>& take) {
  ServiceRun(endpoint, service, bodies, take).run();
}

}  // namespace holdfast
