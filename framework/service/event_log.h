// What jobs say of themselves, a line an event, for whoever asks later and whoever waits.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "service/records.h"
#include "service/state_folder.h"

namespace holdfast {

/// For any thread. A job is known by its id and whose it is.
class EventLog {
 public:
  explicit EventLog(const StateFolder& folder) : folder_(folder) {}

  /// Adds an event, with an id and the time. Throws Error where it cannot be written.
  void add(const JobRecord& job, JobEvent event);
  /// Unless the job said the same before: what is done again after a restart is told once.
  void add_once(const JobRecord& job, JobEvent event);
  /// In the order in which they were said.
  std::vector<JobEvent> all(const JobRecord& job);
  bool said(const JobRecord& job, const std::string& message);
  /// Steps that metrics were told of.
  std::set<std::int64_t> steps(const JobRecord& job);
  /// Those from a place on.
  std::vector<JobEvent> from(const JobRecord& job, std::size_t place);
  /// The same; waits for a moment where there is none.
  std::vector<JobEvent> wait(const JobRecord& job, std::size_t place);

 private:
  std::vector<JobEvent> from_locked(const JobRecord& job, std::size_t place);
  std::vector<JobEvent>& loaded(const JobRecord& job);
  void add_locked(const JobRecord& job, JobEvent event);
  bool said_locked(const JobRecord& job, const std::string& message);

  const StateFolder& folder_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::map<std::string, std::vector<JobEvent>> events_;  // of jobs that were asked about, by their ids
};

}  // namespace holdfast
