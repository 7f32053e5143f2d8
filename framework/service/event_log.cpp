#include "service/event_log.h"

#include <holdfast/log.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "service/ids.h"

namespace holdfast {

void EventLog::add(const JobRecord& job, JobEvent event) {
  const std::lock_guard lock(mutex_);
  add_locked(job, std::move(event));
}

void EventLog::add_once(const JobRecord& job, JobEvent event) {
  const std::lock_guard lock(mutex_);
  if (!said_locked(job, event.message)) add_locked(job, std::move(event));
}

std::vector<JobEvent> EventLog::all(const JobRecord& job) {
  const std::lock_guard lock(mutex_);
  return loaded(job);
}

bool EventLog::said(const JobRecord& job, const std::string& message) {
  const std::lock_guard lock(mutex_);
  return said_locked(job, message);
}

std::set<std::int64_t> EventLog::steps(const JobRecord& job) {
  const std::lock_guard lock(mutex_);
  std::set<std::int64_t> steps;
  for (const auto& event : loaded(job)) {
    if (event.type == "metrics") steps.insert(event.data.value("step", std::int64_t{0}));
  }
  return steps;
}

std::vector<JobEvent> EventLog::from(const JobRecord& job, std::size_t place) {
  const std::lock_guard lock(mutex_);
  return from_locked(job, place);
}

std::vector<JobEvent> EventLog::wait(const JobRecord& job, std::size_t place) {
  std::unique_lock lock(mutex_);
  more_.wait_for(lock, std::chrono::milliseconds(500), [&] { return loaded(job).size() > place; });
  return from_locked(job, place);
}

std::vector<JobEvent> EventLog::from_locked(const JobRecord& job, std::size_t place) {
  const auto& events = loaded(job);
  if (events.size() <= place) return {};
  return {events.begin() + static_cast<std::ptrdiff_t>(place), events.end()};
}

std::vector<JobEvent>& EventLog::loaded(const JobRecord& job) {
  const auto found = events_.find(job.id);
  if (found != events_.end()) return found->second;
  std::vector<JobEvent>& events = events_[job.id];
  for (const auto& line : whole_lines(folder_.events(job.customer, job.id))) {
    try {
      events.push_back(job_event_from_json(line));
    } catch (const Json::exception& error) {
      log_warning("an event of the job " + job.id + " is passed over: " + error.what());
    }
  }
  return events;
}

void EventLog::add_locked(const JobRecord& job, JobEvent event) {
  event.id = new_id("ftevent-");
  event.created_at = unix_seconds();
  auto& events = loaded(job);
  append_file(folder_.events(job.customer, job.id), canonical(to_json(event)) + "\n");
  events.push_back(std::move(event));
  more_.notify_all();
}

bool EventLog::said_locked(const JobRecord& job, const std::string& message) {
  const auto& events = loaded(job);
  return std::any_of(events.begin(), events.end(), [&](const JobEvent& event) { return event.message == message; });
}

}  // namespace holdfast
