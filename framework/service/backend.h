// What stands behind the API: jobs that are tuned, models that answer.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "service/chat.h"
#include "service/tuning.h"

namespace holdfast {

/// For any thread. Runs (tuned_backend.h), or a test's own.
class Backend {
 public:
  virtual ~Backend() = default;
  /// TuningRunner.
  virtual void submit(const std::string& job, const TuningOrder& order) = 0;
  virtual void stop(const std::string& job) = 0;
  virtual std::optional<StageRequest> served(const std::string& offer, const std::optional<TuningOrder>& order) = 0;
  virtual std::optional<StageRequest> moderator(const std::string& name) = 0;
  /// ChatPool.
  virtual ChatAnswer ask(const ChatQuestion& question, const std::function<bool(const std::string&)>& on_text) = 0;
  virtual std::vector<bool> flagged(const StageRequest& moderator, const std::vector<std::string>& texts) = 0;
  virtual std::vector<std::int64_t> tokens(const StageRequest& served, const std::vector<Conversation>& rows,
                                           std::int64_t max_length) = 0;
};

}  // namespace holdfast
