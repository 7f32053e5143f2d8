// What the service knows of files, jobs and their events: as it is kept, and as the API shows it.
#pragma once

#include <holdfast/trainer.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "service/api_error.h"
#include "service/tuning.h"

namespace holdfast {

/// In the order in which things were made, whatever the clock does: microseconds of Unix time, no two alike.
std::int64_t next_order();

struct FileRecord {
  std::string id = {};
  std::string filename = {};
  std::string purpose = {};  // "fine-tune" or "fine-tune-results"
  std::int64_t order = 0;
  std::int64_t created_at = 0;  // seconds of Unix time
  std::int64_t bytes = 0;
  std::int64_t rows = 0;
  std::string digest = {};  // of its content
};
Json to_json(const FileRecord& file);
FileRecord file_record_from_json(const Json& json);
/// The API's file object.
Json file_object(const FileRecord& file);

enum class JobStatus { kValidating, kQueued, kRunning, kPaused, kSucceeded, kFailed, kCancelled };
std::string to_string(JobStatus status);
bool has_ended(JobStatus status);

/// What a job was asked for, and what it will cost.
struct PlannedJob {
  TuningOrder tuning;
  std::string training_file;
  std::string filename;  // of it, for messages
  std::string suffix;
  Json metadata;             // an object, or null
  double lr_multiplier = 1;  // of the scenario's learning rate
  double reserved = 0;       // of the customer's money, by the estimate
};

struct JobRecord {
  std::string id;
  std::string customer;
  std::int64_t order = 0;
  std::int64_t created_at = 0, finished_at = 0;  // seconds of Unix time; 0: not yet
  PlannedJob ordered;
  JobStatus status = JobStatus::kValidating;
  std::int64_t trained_tokens = 0;
  double cost = 0;
  std::string fine_tuned_model;  // empty: not yet
  bool model_deleted = false;
  std::string result_file;
  std::string checkpoint;  // its id
  std::int64_t last_step = 0;
  Json last_loss;  // null where it was no number
  std::optional<ApiError> error;

  /// Whether customers can ask its model.
  bool is_served() const { return status == JobStatus::kSucceeded && !model_deleted; }
};
Json to_json(const JobRecord& job);
JobRecord job_record_from_json(const Json& json);
/// The API's job object.
Json job_object(const JobRecord& job, const std::string& organization);
/// The API's object of the one checkpoint that a job has, its final model: weights from before repair, and as they would not be
/// served, stay inside.
Json checkpoint_object(const JobRecord& job);
Json model_object(const std::string& id, std::int64_t created, const std::string& owner);

struct JobEvent {
  std::string id = {};
  std::int64_t created_at = 0;
  std::string level = "info";    // "info", "warn", "error"
  std::string type = "message";  // "message", "metrics"
  std::string message = {};
  Json data = Json::object();
};
/// The API's event object, which is also how it is kept.
Json to_json(const JobEvent& event);
JobEvent job_event_from_json(const Json& json);

}  // namespace holdfast
