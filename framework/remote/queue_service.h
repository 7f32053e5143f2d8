// The half of a store's queue that workers use, by questions and answers in JSON.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "queue/directory_queue.h"

namespace holdfast {

/// For any thread.
class QueueService {
 public:
  explicit QueueService(fs::path store);

  /// `verb` is the method's name: ready, take, beat, finish, give_back, sign, sign_off or signs. Throws Refusal for any other
  /// and for names that are none, Json::exception for a question that lacks something, Error where the queue cannot be written.
  Json answer(const std::string& verb, const Json& question);
  /// What the lease's holder was told. Throws Refusal where the lease is lost.
  Json work_of(const Lease& lease);

 private:
  using Clock = std::chrono::steady_clock;

  Json ready();
  Json take(const Json& question);
  Json beat(const Json& question);
  Json finish(const Json& question);
  Json give_back(const Json& question);
  Json sign(const Json& question);
  Json sign_off(const Json& question);
  Json signs(const Json& question);

  std::mutex mutex_;
  const fs::path store_;
  DirectoryQueue queue_;
  Json listed_ = Json::array();  // names of what was ready a moment ago
  Clock::time_point fresh_until_{};
};

}  // namespace holdfast
