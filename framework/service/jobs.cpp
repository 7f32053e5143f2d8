#include "service/jobs.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "service/ids.h"
#include "service/job_texts.h"
#include "service/offers.h"

namespace holdfast {
namespace {

const std::string kJobPrefix = "ftjob-";
constexpr int kRetryJobAfter = 10;  // seconds, for a job to end

// The listener's thread is the runner's, which no fault of a disk may end.
template <typename Action>
void guarded(const char* what, const Action& action) {
  try {
    action();
  } catch (const ApiError& error) {
    log_warning(std::string(what) + ": " + error.message);
  } catch (const std::exception& error) {
    log_warning(std::string(what) + ": " + error.what());
  }
}

// The customer's job of that id.
template <typename Map>
auto& owned(Map& jobs, const std::string& customer, const std::string& id) {
  const auto found = jobs.find(id);
  if (found == jobs.end() || found->second.record.customer != customer) throw no_such("fine-tuning job", id);
  return found->second;
}

bool is_active(JobStatus status) { return !has_ended(status) && status != JobStatus::kPaused; }

}  // namespace

Jobs::Jobs(const ServiceSpec& service, const StateFolder& folder, const Customers& customers, Files& files, Accounts& accounts)
    : service_(service), folder_(folder), files_(files), accounts_(accounts), events_(folder) {
  for (const auto& customer : customers.all()) read(customer);
  files_.sweep();
}

void Jobs::read(const Customer& customer) {
  each_object(folder_.jobs(customer.name), kJobPrefix, [&](const Json& json) {
    JobRecord job = job_record_from_json(json);
    if (job.customer != customer.name) throw Error("it is another customer's");
    accounts_.spend_on_job(customer.name, job.cost);
    if (!has_ended(job.status)) {
      accounts_.reserve_again(customer.name, job.ordered.reserved);
      files_.hold(job.ordered.tuning.rows.digest);
    }
    const std::string id = job.id;
    jobs_[id].record = std::move(job);
  });
}

void Jobs::begin(Backend& backend) {
  struct Again {
    std::string id, run;
    TuningOrder order;
    std::int64_t since;
  };
  std::vector<Again> again;
  {
    const std::lock_guard lock(mutex_);
    backend_ = &backend;
    for (auto& [id, job] : jobs_) {
      if (is_active(job.record.status)) again.push_back({id, begin_run(job), job.record.ordered.tuning, job.record.order});
    }
  }
  std::sort(again.begin(), again.end(), [](const auto& a, const auto& b) { return a.since < b.since; });
  for (const auto& each : again) submit(each.id, each.run, each.order);
}

std::string Jobs::begin_run(Job& job) {
  job.submitted = true;
  return job.record.id + "/" + std::to_string(++job.run);
}

// Without the lock: the runner may be telling us something.
void Jobs::submit(const std::string& id, const std::string& run, const TuningOrder& order) {
  const bool offered = find_offer(service_, order.offer) != nullptr;
  std::string fault = offered ? "" : "the model " + in_quotes(order.offer) + " is no longer on offer";
  try {
    if (fault.empty()) backend_->submit(run, order);
  } catch (const std::exception& error) {
    fault = error.what();
  }
  {
    const std::lock_guard lock(mutex_);
    const bool wanted = running(run) != nullptr;
    if (wanted && !fault.empty()) fail(jobs_.at(id), failure_of(fault, jobs_.at(id).record, files_));
    if (wanted || !fault.empty()) return;
  }
  backend_->stop(run);  // who stopped it meanwhile was faster; one that has ended is not stopped any more
}

JobRecord Jobs::create(const Customer& customer, PlannedJob order) {
  JobRecord record;
  std::string run;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t most = customer.limits.jobs;
    const auto open = std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& each) {
      return each.second.record.customer == customer.name && !has_ended(each.second.record.status);
    });
    if (most > 0 && open >= most) {
      throw too_many("you have " + std::to_string(open) + " jobs that have not ended, and may have " + std::to_string(most),
                     kRetryJobAfter);
    }
    accounts_.reserve(customer, order.reserved, "the job");
    record.id = new_id(kJobPrefix);
    record.customer = customer.name;
    record.order = next_order();
    record.created_at = unix_seconds();
    record.ordered = std::move(order);
    files_.hold(record.ordered.tuning.rows.digest);
    try {
      keep(record);
    } catch (...) {
      files_.release(record.ordered.tuning.rows.digest);
      accounts_.release(customer.name, record.ordered.reserved);
      throw;
    }
    Job& job = jobs_[record.id];
    job.record = record;
    events_.add(record, {.message = "Created fine-tuning job: " + record.id});
    events_.add(record, {.message = "Validating training file: " + record.ordered.training_file});
    run = begin_run(job);
  }
  submit(record.id, run, record.ordered.tuning);
  return record;
}

JobRecord Jobs::find(const std::string& customer, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return owned(jobs_, customer, id).record;
}

std::vector<JobRecord> Jobs::list(const std::string& customer) const {
  std::vector<JobRecord> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_) {
      if (job.record.customer == customer) jobs.push_back(job.record);
    }
  }
  std::sort(jobs.begin(), jobs.end(), [](const auto& a, const auto& b) { return a.order > b.order; });
  return jobs;
}

JobRecord Jobs::cancel(const std::string& customer, const std::string& id) {
  JobRecord record;
  std::string stopped;
  {
    const std::lock_guard lock(mutex_);
    Job& job = owned(jobs_, customer, id);
    if (has_ended(job.record.status)) throw conflict("the job " + id + " has ended: it is " + to_string(job.record.status));
    if (job.submitted) stopped = id + "/" + std::to_string(job.run);
    events_.add(job.record, {.message = "Fine-tuning job cancelled"});
    close(job, JobStatus::kCancelled);
    record = job.record;
  }
  if (!stopped.empty()) backend_->stop(stopped);
  return record;
}

JobRecord Jobs::pause(const std::string& customer, const std::string& id) {
  JobRecord record;
  std::string stopped;
  {
    const std::lock_guard lock(mutex_);
    Job& job = owned(jobs_, customer, id);
    if (!is_active(job.record.status))
      throw conflict("the job " + id + " is " + to_string(job.record.status) + ": it cannot be paused");
    stopped = id + "/" + std::to_string(job.run);
    job.submitted = false;
    job.record.status = JobStatus::kPaused;
    keep(job.record);
    events_.add(job.record, {.message = "Fine-tuning job paused"});
    record = job.record;
  }
  backend_->stop(stopped);
  return record;
}

JobRecord Jobs::resume(const std::string& customer, const std::string& id) {
  JobRecord record;
  std::string run;
  {
    const std::lock_guard lock(mutex_);
    Job& job = owned(jobs_, customer, id);
    if (job.record.status != JobStatus::kPaused) {
      throw conflict("the job " + id + " is " + to_string(job.record.status) + ", and only a paused one is resumed");
    }
    job.record.status = events_.said(job.record, kValidatedText) ? JobStatus::kQueued : JobStatus::kValidating;
    keep(job.record);
    events_.add(job.record, {.message = "Fine-tuning job resumed"});
    run = begin_run(job);
    record = job.record;
  }
  submit(id, run, record.ordered.tuning);
  return record;
}

std::optional<JobRecord> Jobs::with_model(const std::string& customer, const std::string& model) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, job] : jobs_) {
    const JobRecord& record = job.record;
    if (record.customer == customer && record.is_served() && record.fine_tuned_model == model) return record;
  }
  return std::nullopt;
}

void Jobs::delete_model(const std::string& customer, const std::string& model) {
  const auto found = with_model(customer, model);
  if (!found) throw no_such_model(model);
  const std::lock_guard lock(mutex_);
  JobRecord& record = jobs_.at(found->id).record;
  record.model_deleted = true;
  keep(record);
}

void Jobs::keep(const JobRecord& job) const {
  write_file(folder_.jobs(job.customer) / (job.id + ".json"), canonical(to_json(job)) + "\n");
}

// The job that is submitted by that name; none where it was stopped since.
Jobs::Job* Jobs::running(const std::string& run) {
  const auto slash = run.rfind('/');
  const auto found = jobs_.find(run.substr(0, slash));
  if (found == jobs_.end()) return nullptr;
  Job& job = found->second;
  const bool current = job.submitted && run.substr(slash + 1) == std::to_string(job.run);
  return current && is_active(job.record.status) ? &job : nullptr;
}

void Jobs::told_validated(Job& job) {
  if (job.record.status != JobStatus::kValidating) return;
  job.record.status = JobStatus::kQueued;
  keep(job.record);
  events_.add_once(job.record, {.message = kValidatedText});
}

void Jobs::began(const std::string& run, StageKind kind) {
  if (kind != StageKind::kFinetune && kind != StageKind::kRepair) return;
  guarded("a job's beginning could not be kept", [&] {
    const std::lock_guard lock(mutex_);
    Job* job = running(run);
    if (job == nullptr) return;
    told_validated(*job);
    if (job->record.status == JobStatus::kRunning) return;
    job->record.status = JobStatus::kRunning;
    keep(job->record);
    events_.add_once(job->record, {.message = "Fine-tuning job started"});
  });
}

void Jobs::screened(const std::string& run, const ScreenedRows& rows) {
  guarded("a job's screening could not be kept", [&] {
    const std::lock_guard lock(mutex_);
    Job* job = running(run);
    if (job == nullptr) return;
    if (service_.names_rows && !rows.dropped.empty()) events_.add_once(job->record, screened_event(rows));
    const bool some_left = static_cast<std::int64_t>(rows.dropped.size()) < rows.submitted || rows.added > 0;
    if (some_left) told_validated(*job);
  });
}

void Jobs::progressed(const std::string& run, const Json& progress) {
  guarded("a job's progress could not be kept", [&] {
    const std::lock_guard lock(mutex_);
    Job* job = running(run);
    const auto event = metrics_of_progress(progress);
    if (job == nullptr || job->record.status != JobStatus::kRunning || !event) return;
    const auto told = events_.steps(job->record);
    if (told.empty() || event->data.at("step").get<std::int64_t>() > *told.rbegin()) events_.add(job->record, *event);
  });
}

void Jobs::ended(const std::string& run, const TuningEnd& end) {
  guarded("a job's end could not be kept", [&] {
    const std::lock_guard lock(mutex_);
    Job* job = running(run);
    if (job == nullptr) return;
    if (const auto* done = std::get_if<TuningSucceeded>(&end)) {
      succeed(*job, *done);
    } else if (const auto* failed = std::get_if<TuningFailed>(&end)) {
      fail(*job, failed->no_rows_left ? no_rows_left() : failure_of(failed->message, job->record, files_));
    }  // else the server is being ended: the next one takes it up
  });
}

void Jobs::close(Job& job, JobStatus status) {
  JobRecord record = job.record;
  record.status = status;
  record.finished_at = unix_seconds();
  keep(record);
  job.record = std::move(record);
  job.submitted = false;
  accounts_.release(job.record.customer, job.record.ordered.reserved);
  files_.release(job.record.ordered.tuning.rows.digest);
}

void Jobs::fail(Job& job, ApiError error) {
  events_.add_once(job.record, {.level = "error", .message = "Fine-tuning job failed: " + error.message});
  job.record.error = std::move(error);
  close(job, JobStatus::kFailed);
}

void Jobs::tell_curve(const Job& job, const std::vector<CurvePoint>& curve) {
  const std::set<std::int64_t> told = events_.steps(job.record);
  const std::int64_t last = told.empty() ? 0 : *told.rbegin();
  for (const auto& point : thinned(curve)) {
    if (point.step > last) events_.add(job.record, metrics_of_point(point, static_cast<std::int64_t>(curve.size())));
  }
}

void Jobs::succeed(Job& job, const TuningSucceeded& end) {
  JobRecord& record = job.record;
  tell_curve(job, end.curve);
  record.result_file = files_.add(record.customer, curve_csv(end.curve), "step_metrics.csv", "fine-tune-results").id;
  record.trained_tokens = end.trained_tokens;
  record.cost = accounts_.price_of_training(end.trained_tokens);
  record.fine_tuned_model = tuned_name(record, service_.organization);
  record.checkpoint = new_id("ftckpt-");
  if (!end.curve.empty()) {
    record.last_step = end.curve.back().step;
    record.last_loss = std::isfinite(end.curve.back().loss) ? Json(end.curve.back().loss) : Json();
  }
  events_.add_once(record, {.message = "New fine-tuned model created: " + record.fine_tuned_model});
  events_.add_once(
      record,
      {.message = "The job has successfully completed",
       .data = {{"trained_tokens", record.trained_tokens}, {"cost", record.cost}, {"currency", service_.prices.currency}}});
  close(job, JobStatus::kSucceeded);
  accounts_.spend_on_job(record.customer, record.cost);
}

}  // namespace holdfast
