#include "run/executor.h"

#include <holdfast/log.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "plan/estimate.h"
#include "run/interruption.h"
#include "run/stage_failure.h"
#include "run/stage_requests.h"

namespace holdfast {
namespace {

std::string gib_text(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g GiB", static_cast<double>(bytes) / static_cast<double>(1ULL << 30));
  return text;
}

// Why stages that ran together ended where it may be another's doing; empty where it is the stage's own.
std::string shared_end(const StageEnd& end) {
  if (const auto* died = std::get_if<WorkerDied>(&end)) return "the worker " + died->how;
  if (std::holds_alternative<StageTimedOut>(end)) return "they were stopped at their time limit";
  const auto* failed = std::get_if<StageFailed>(&end);
  return failed != nullptr && failed->broken ? failed->message : "";
}

}  // namespace

Executor::Executor(const Plan& plan, StoreIndex& index, std::vector<double> seconds, std::uint64_t disk_budget,
                   Workers& workers, std::int64_t gang, std::vector<double> gib)
    : plan_(plan),
      workers_(workers),
      budget_(index, disk_budget),
      schedule_(plan, critical_paths(plan, seconds), static_cast<std::size_t>(gang)),
      graph_(plan, index, budget_, schedule_, std::move(seconds)),
      gib_(gib.empty() ? std::vector<double>(plan.nodes.size()) : std::move(gib)),
      jobs_(workers.count()) {}

void Executor::start(std::function<void(std::size_t)> on_settled) {
  graph_.start(std::move(on_settled));
  budget_.keep();
}

bool Executor::run(const std::function<void(const ProgressState&)>& on_progress) {
  while (graph_.unsettled() > 0) {
    if (Interruption::requested()) {
      workers_.stop();
      return false;
    }
    give_stages();
    for (const auto& news : workers_.wait()) take(news);
    show_progress(on_progress);
  }
  workers_.stop();
  if (budget_.exceeded()) {
    log_warning("the store holds " + gib_text(budget_.stored()) + " and its disk budget is " + gib_text(budget_.budget()) +
                ": replies and verdicts are never dropped, raise disk_budget_gib or remove a store that is no longer needed");
  }
  return true;
}

void Executor::give_stages() {
  for (std::size_t worker = 0; worker < jobs_.size(); ++worker) {
    if (!workers_.is_free(worker)) continue;
    std::vector<std::size_t> nodes = schedule_.take_gang(workers_.warm(worker), std::max<std::size_t>(1, workers_.idle()));
    if (nodes.empty()) return;
    std::vector<StageRequest> requests;
    for (const std::size_t node : nodes) {
      graph_.run(node);
      requests.push_back(stage_request(plan_, graph_.outcomes(), node));
      requests.back().estimate = {graph_.seconds(node), schedule_.path(node), gib_[node]};
    }
    const bool begins = workers_.give(worker, requests);
    jobs_[worker] = Job{std::move(nodes), requests.size(), begins ? std::optional(Clock::now()) : std::nullopt};
  }
}

void Executor::take(const WorkerNews& news) {
  auto& job = jobs_[news.worker];
  if (const auto* progress = std::get_if<StageProgress>(&news.what)) {
    if (job) job->progress = progress->progress;
    return;
  }
  if (std::holds_alternative<StageBegan>(news.what)) {
    if (job) job->started = Clock::now();
    return;
  }
  const std::size_t node = job->nodes[news.stage];
  const bool together = job->nodes.size() > 1;
  if (--job->unfinished == 0) job.reset();
  if (!graph_.is_running(node)) return;  // a stage before it failed meanwhile
  const auto& end = std::get<StageEnd>(news.what);
  if (const std::string why = together ? shared_end(end) : ""; !why.empty()) return repeat_alone(node, why);
  settle(node, end);
  budget_.keep();
}

void Executor::repeat_alone(std::size_t node, const std::string& why) {
  log_warning(stage_text(plan_.nodes[node]) + " runs once more, alone, for it ran together with others and " + why);
  schedule_.isolate(node);
  graph_.again(node);
}

void Executor::settle(std::size_t node, const StageEnd& end) {
  if (const auto failure = failure_of(plan_.nodes[node], end)) {
    ++stages_run_;
    return graph_.fail(node, failure->status, failure->message);
  }
  if (const auto* damaged = std::get_if<StageDamaged>(&end)) {
    return graph_.damaged(node, damaged->kind, damaged->key, damaged->message);
  }
  const auto* done = std::get_if<StageDone>(&end);
  if (done == nullptr) return graph_.again(node);  // it was asked to stop
  ++stages_run_;
  ++stages_made_;
  pace_.add(plan_.nodes[node].kind, done->seconds, graph_.seconds(node));
  graph_.done(node, {done->digest, done->bytes, done->seconds, false});
}

// Stages that run together as one.
Underway Executor::underway(const Job& job) const {
  Underway made{plan_.nodes[job.nodes.front()].kind, 0, 0, 0, part_done(job.progress)};
  double behind = 0;  // of the longest way to the end
  for (const std::size_t node : job.nodes) {
    made.seconds += graph_.seconds(node);
    behind = std::max(behind, schedule_.path(node) - graph_.seconds(node));
  }
  made.path = made.seconds + behind;
  made.spent = std::chrono::duration<double>(Clock::now() - *job.started).count();
  return made;
}

void Executor::show_progress(const std::function<void(const ProgressState&)>& on_progress) {
  const bool shows = progress_.due();
  const bool tells = on_progress && Clock::now() - told_ > std::chrono::seconds(1);
  if (!shows && !tells) return;
  const ProgressState state = progress_state();
  if (shows) progress_.show(state);
  if (!tells) return;
  on_progress(state);
  told_ = Clock::now();
}

ProgressState Executor::progress_state() const {
  ProgressState state;
  std::vector<Underway> running;
  for (const auto& job : jobs_) {
    if (!job || !job->started) continue;
    running.push_back(underway(*job));
    state.running.push_back({running.back().kind, work_text(job->progress), job->nodes.size()});
  }
  state.total = plan_.nodes.size();
  state.done = state.total - graph_.unsettled();
  state.failed = graph_.failed();
  state.seconds_left = seconds_left(graph_, schedule_, pace_, running, std::max<std::size_t>(1, workers_.hands()));
  return state;
}

}  // namespace holdfast
