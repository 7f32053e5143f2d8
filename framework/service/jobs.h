// The jobs of customers: what becomes of them, and what is kept of it.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "service/accounts.h"
#include "service/backend.h"
#include "service/event_log.h"
#include "service/files.h"

namespace holdfast {

/// For any thread. A job is validating its file, queued, running, paused, or has ended; it is written down before anybody is
/// told.
class Jobs final : public TuningListener {
 public:
  /// Reads what there is. What is given outlives it.
  Jobs(const ServiceSpec& service, const StateFolder& folder, const Customers& customers, Files& files, Accounts& accounts);

  /// Takes up the jobs that had not ended. The backend is there until nobody asks any more.
  void begin(Backend& backend);

  /// Throws ApiError where the customer has as many as he may have, or cannot pay for it.
  JobRecord create(const Customer& customer, PlannedJob order);
  /// The job that the next three are about must be the customer's. They throw ApiError: 404, and 409 where it is not in a state
  /// for that.
  JobRecord cancel(const std::string& customer, const std::string& id);
  JobRecord pause(const std::string& customer, const std::string& id);
  JobRecord resume(const std::string& customer, const std::string& id);

  /// Throws ApiError (404).
  JobRecord find(const std::string& customer, const std::string& id) const;
  /// Newest first.
  std::vector<JobRecord> list(const std::string& customer) const;
  /// The job that made a model that the customer can ask.
  std::optional<JobRecord> with_model(const std::string& customer, const std::string& model) const;
  /// From then on nobody can ask it. Throws ApiError (404).
  void delete_model(const std::string& customer, const std::string& model);
  EventLog& events() { return events_; }

  void began(const std::string& run, StageKind kind) override;
  void screened(const std::string& run, const ScreenedRows& rows) override;
  void progressed(const std::string& run, const Json& progress) override;
  void ended(const std::string& run, const TuningEnd& end) override;

 private:
  struct Job {
    JobRecord record;
    std::int64_t run = 0;  // how often it was submitted; what is said of earlier times no longer counts
    bool submitted = false;
  };

  void read(const Customer& customer);
  std::string begin_run(Job& job);
  void submit(const std::string& id, const std::string& run, const TuningOrder& order);
  Job* running(const std::string& run);
  void keep(const JobRecord& job) const;
  void told_validated(Job& job);
  void close(Job& job, JobStatus status);
  void succeed(Job& job, const TuningSucceeded& end);
  void tell_curve(const Job& job, const std::vector<CurvePoint>& curve);
  void fail(Job& job, ApiError error);

  const ServiceSpec& service_;
  const StateFolder& folder_;
  Files& files_;
  Accounts& accounts_;
  EventLog events_;
  Backend* backend_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::string, Job> jobs_;  // by id
};

}  // namespace holdfast
