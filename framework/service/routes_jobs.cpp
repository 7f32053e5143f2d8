// /v1/fine_tuning/jobs
#include <algorithm>

#include "service/job_plan.h"
#include "service/routes.h"

namespace holdfast {
namespace {

Json customers_object(const JobRecord& job, const Desk& desk) { return job_object(job, desk.service.organization); }

void create_job(Call& call, Desk& desk) {
  call.no_query();
  const JobRequest request = job_request(call.json());
  answer(call, customers_object(desk.jobs.create(call.customer, plan_job(desk, call.customer, request)), desk));
}

// "metadata[key]" = value, and "metadata" = "null".
bool passes(const JobRecord& job, const std::map<std::string, std::string>& filters) {
  constexpr std::size_t kPrefix = 9;  // of "metadata["
  const Json& metadata = job.ordered.metadata;
  for (const auto& [name, value] : filters) {
    if (name == "metadata") {
      if (value != "null")
        throw wrong_field("metadata", "\"metadata\" is " + in_quotes(value) + ", expected null, or metadata[key]=value");
      if (!metadata.is_null()) return false;
      continue;
    }
    const std::string key = name.substr(kPrefix, name.size() - kPrefix - 1);
    if (!metadata.is_object() || !metadata.contains(key) || metadata.at(key) != value) return false;
  }
  return true;
}

void list_jobs(Call& call, Desk& desk) {
  const Paging paging = read_paging(call.query(), {.filters = {"metadata", "metadata["}});
  std::vector<Json> objects;
  for (const auto& job : desk.jobs.list(call.customer.name)) {
    if (passes(job, paging.filters)) objects.push_back(customers_object(job, desk));
  }
  answer(call, page_of(std::move(objects), paging));
}

void retrieve_job(Call& call, Desk& desk) {
  call.no_query();
  answer(call, customers_object(desk.jobs.find(call.customer.name, call.names[0]), desk));
}

using Change = JobRecord (Jobs::*)(const std::string& customer, const std::string& id);

void change(Call& call, Desk& desk, Change what) {
  call.no_query();
  call.no_body();
  answer(call, customers_object((desk.jobs.*what)(call.customer.name, call.names[0]), desk));
}

std::size_t place_behind(const std::vector<JobEvent>& events, const std::string& id) {
  const auto found = std::find_if(events.begin(), events.end(), [&](const JobEvent& event) { return event.id == id; });
  if (found == events.end()) throw wrong_field("after", "the job has no event with the id " + in_quotes(id));
  return static_cast<std::size_t>(found - events.begin()) + 1;
}

// Oldest first, from the beginning or behind an event, until the job has ended and all is told.
void stream(Call& call, Desk& desk, const JobRecord& job, const std::string& after) {
  if (call.request.has_param("limit")) throw wrong_field("limit", "\"limit\" goes with pages, and a stream has all events");
  std::size_t next = after.empty() ? 0 : place_behind(desk.jobs.events().all(job), after);
  answer_events(call, [&desk, job, next, seat = desk.seats.take(job.customer)](const WriteEvent& write) mutable {
    while (true) {
      const bool over = has_ended(desk.jobs.find(job.customer, job.id).status);
      const auto events = over ? desk.jobs.events().from(job, next) : desk.jobs.events().wait(job, next);
      for (const auto& event : events) {
        if (!write(to_json(event))) return;
      }
      next += events.size();
      if (over || !write({})) return;
    }
  });
}

void events(Call& call, Desk& desk) {
  const JobRecord job = desk.jobs.find(call.customer.name, call.names[0]);
  const Paging paging = read_paging(call.query(), {.most = 1000, .filters = {"stream"}});
  const auto streams = paging.filters.find("stream");
  if (streams != paging.filters.end() && streams->second != "true" && streams->second != "false") {
    throw wrong_field("stream", "\"stream\" is " + in_quotes(streams->second) + ", expected true or false");
  }
  if (streams != paging.filters.end() && streams->second == "true") return stream(call, desk, job, paging.after);
  std::vector<Json> objects;
  for (const auto& event : desk.jobs.events().all(job)) objects.push_back(to_json(event));
  std::reverse(objects.begin(), objects.end());
  answer(call, page_of(std::move(objects), paging));
}

void checkpoints(Call& call, Desk& desk) {
  const JobRecord job = desk.jobs.find(call.customer.name, call.names[0]);
  const Paging paging = read_paging(call.query(), {.usual = 10});
  std::vector<Json> objects;
  if (job.status == JobStatus::kSucceeded) objects.push_back(checkpoint_object(job));
  answer(call, page_of(std::move(objects), paging));
}

}  // namespace

void add_job_routes(Routes& routes, Desk& desk) {
  const std::string jobs = "/v1/fine_tuning/jobs", job = jobs + "/{}";
  routes.add({"POST", jobs, [&desk](Call& call) { create_job(call, desk); }});
  routes.add({"GET", jobs, [&desk](Call& call) { list_jobs(call, desk); }});
  routes.add({"GET", job, [&desk](Call& call) { retrieve_job(call, desk); }});
  routes.add({"POST", job + "/cancel", [&desk](Call& call) { change(call, desk, &Jobs::cancel); }});
  routes.add({"POST", job + "/pause", [&desk](Call& call) { change(call, desk, &Jobs::pause); }});
  routes.add({"POST", job + "/resume", [&desk](Call& call) { change(call, desk, &Jobs::resume); }});
  routes.add({"GET", job + "/events", [&desk](Call& call) { events(call, desk); }});
  routes.add({"GET", job + "/checkpoints", [&desk](Call& call) { checkpoints(call, desk); }});
}

}  // namespace holdfast
