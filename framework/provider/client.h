// A fine-tuning service through its interface: files, jobs, prices.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "judge/retries.h"
#include "provider/job_state.h"
#include "provider/settings.h"
#include "provider/training_rows.h"

namespace holdfast {

/// Why a provider did not take rows, and which, as far as it says; from 1.
struct ProviderRefusal {
  std::string reason;
  std::vector<std::int64_t> rows = {};
};

/// A job that is asked for.
struct JobOrder {
  std::string key;       // names it among all jobs, 64 hexadecimal digits
  Json hyperparameters;  // {place in the request: value}
  std::int64_t seed = 0;
  std::int64_t rows = 0;
};

/// For one thread at a time. Every call waits and tries again as `settings` say, and throws Error where the service cannot be
/// asked (network, key, quota), and Stopped (base/stop_point.h). Nothing that it gives holds the key.
class ProviderClient {
 public:
  /// `key`: a secret; empty: none is sent.
  ProviderClient(const ProviderSettings& settings, std::string key);

  /// Sends the rows and waits until the service has looked at them: its id of the file.
  std::variant<std::string, ProviderRefusal> upload(const TrainingRows& rows, const JobOrder& order);
  /// What the job would cost, in the settings' currency; nothing where the service does not say.
  std::optional<double> estimate(const std::string& file, const JobOrder& order);
  /// Creates the job. `begun`: it may have been created before, by whoever died then; such a one is taken up. No job is ever
  /// created twice: where an answer was lost it is looked for.
  std::variant<JobState, ProviderRefusal> create(const std::string& file, const JobOrder& order, bool begun);
  JobState job(const std::string& id);

 private:
  using Take = std::function<Taken(const HttpReply&)>;
  using Values = std::vector<std::pair<std::string, Json>>;  // by placeholder

  Values values_of(const std::string& file, const JobOrder& order) const;
  Json create_request(const std::string& file, const JobOrder& order) const;
  void send(const HttpRequest& request, const Take& take);
  HttpRequest request(const char* method, const std::string& path, const Values& values) const;
  Json get(const std::string& path, const Values& values, bool may_be_missing = false);
  void register_file(const Values& values);
  std::optional<ProviderRefusal> await_file(const std::string& file, const Values& values);
  std::optional<JobState> find(const std::string& file, const JobOrder& order);
  void add_events(JobState& state, const Json& job);

  const ProviderSettings& settings_;
  const Dialect& dialect_;
  Endpoint endpoint_;
  HttpClient http_;
};

/// Waits so many seconds. Throws Stopped once this process is asked to stop.
void wait_or_stop(double seconds);

}  // namespace holdfast
