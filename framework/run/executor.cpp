#include "run/executor.h"

#include <holdfast/log.h>

#include <cstdio>
#include <utility>

#include "plan/estimate.h"
#include "run/interruption.h"
#include "run/stage_requests.h"

namespace holdfast {
namespace {

std::string gib_text(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g GiB", static_cast<double>(bytes) / static_cast<double>(1ULL << 30));
  return text;
}

std::string seconds_text(double seconds) {
  std::string text = Json(seconds).dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " s";
}

}  // namespace

Executor::Executor(const Plan& plan, StoreIndex& index, std::vector<double> seconds, std::uint64_t disk_budget,
                   Workers& workers)
    : plan_(plan),
      workers_(workers),
      budget_(index, disk_budget),
      schedule_(plan, critical_paths(plan, seconds)),
      graph_(plan, index, budget_, schedule_, std::move(seconds)),
      jobs_(workers.count()) {}

void Executor::start(std::function<void(std::size_t)> on_settled) {
  graph_.start(std::move(on_settled));
  budget_.keep();
}

bool Executor::run() {
  while (graph_.unsettled() > 0) {
    if (Interruption::requested()) {
      workers_.stop();
      return false;
    }
    give_stages();
    for (const auto& news : workers_.wait()) take(news);
    show_progress();
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
    const auto node = schedule_.take(workers_.warm(worker));
    if (!node) return;
    graph_.run(*node);
    jobs_[worker] = Job{*node, Clock::now()};
    workers_.give(worker, stage_request(plan_, graph_, *node));
  }
}

void Executor::take(const WorkerNews& news) {
  auto& job = jobs_[news.worker];
  if (const auto* progress = std::get_if<StageProgress>(&news.what)) {
    if (job) job->progress = progress->progress;
    return;
  }
  const std::size_t node = std::exchange(job, std::nullopt)->node;
  if (!graph_.is_running(node)) return;  // a stage before it failed meanwhile
  std::visit([&](const auto& end) { settle(node, end); }, std::get<StageEnd>(news.what));
  budget_.keep();
}

void Executor::settle(std::size_t node, const StageDone& end) {
  ++stages_run_;
  ++stages_made_;
  pace_.add(plan_.nodes[node].kind, end.seconds, graph_.seconds(node));
  graph_.done(node, {end.digest, end.bytes, end.seconds, false});
}

void Executor::settle(std::size_t node, const StageDamaged& end) { graph_.damaged(node, end.kind, end.key, end.message); }

void Executor::settle(std::size_t node, const StageFailed& end) {
  ++stages_run_;
  graph_.fail(node, "failed", stage_text(plan_.nodes[node]) + ": " + end.message);
}

void Executor::settle(std::size_t node, const StageTimedOut& end) {
  ++stages_run_;
  graph_.fail(node, "timeout", stage_text(plan_.nodes[node]) + " was stopped at its time limit of " + seconds_text(end.limit));
}

void Executor::settle(std::size_t node, const WorkerDied& end) {
  ++stages_run_;
  graph_.fail(node, "failed", "the worker " + end.how + " in " + stage_text(plan_.nodes[node]));
}

void Executor::show_progress() {
  if (!progress_.due()) return;
  ProgressState state;
  std::vector<Underway> running;
  for (const auto& job : jobs_) {
    if (!job) continue;
    const StageKind kind = plan_.nodes[job->node].kind;
    const double spent = std::chrono::duration<double>(Clock::now() - job->started).count();
    running.push_back({kind, graph_.seconds(job->node), schedule_.path(job->node), spent, part_done(job->progress)});
    state.running.push_back({kind, work_text(job->progress)});
  }
  state.total = plan_.nodes.size();
  state.done = state.total - graph_.unsettled();
  state.failed = graph_.failed();
  state.seconds_left = seconds_left(graph_, schedule_, pace_, running, jobs_.size());
  progress_.show(state);
}

}  // namespace holdfast
