// Runs a plan's stages on workers.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "run/progress.h"
#include "run/schedule.h"
#include "run/stage_graph.h"
#include "run/time_left.h"
#include "run/workers.h"

namespace holdfast {

class Executor {
 public:
  /// `seconds`: each node's estimate. `disk_budget`: bytes of the store; 0: none. `gang`: the most stages that a worker runs
  /// together. `gib`: the memory that each node is expected to take, where that is told to workers.
  Executor(const Plan& plan, StoreIndex& index, std::vector<double> seconds, std::uint64_t disk_budget, Workers& workers,
           std::int64_t gang = 1, std::vector<double> gib = {});

  /// Settles everything that the store already has. Calls on_settled for each node that is done or failed, now and later.
  void start(std::function<void(std::size_t)> on_settled);
  /// Runs what is left; tells how far it is about once a second. Returns false when the user interrupted it.
  bool run(const std::function<void(const ProgressState&)>& on_progress = {});

  const std::vector<NodeOutcome>& outcomes() const { return graph_.outcomes(); }
  std::size_t unsettled() const { return graph_.unsettled(); }
  std::size_t stages_run() const { return stages_run_; }     // whatever came of them
  std::int64_t stages_made() const { return stages_made_; }  // those that gave an artifact

 private:
  using Clock = std::chrono::steady_clock;

  // What a worker is at.
  struct Job {
    std::vector<std::size_t> nodes;  // as they were given
    std::size_t unfinished;
    std::optional<Clock::time_point> started;  // none: they wait
    Json progress = Json::object();            // as the stage said last
  };

  void give_stages();
  void take(const WorkerNews& news);
  void repeat_alone(std::size_t node, const std::string& why);
  Underway underway(const Job& job) const;
  void settle(std::size_t node, const StageEnd& end);
  void show_progress(const std::function<void(const ProgressState&)>& on_progress);
  ProgressState progress_state() const;

  const Plan& plan_;
  Workers& workers_;
  DiskBudget budget_;
  Schedule schedule_;
  StageGraph graph_;
  std::vector<double> gib_;
  std::vector<std::optional<Job>> jobs_;  // by worker
  Pace pace_;
  Progress progress_;
  Clock::time_point told_{};
  std::size_t stages_run_ = 0;
  std::int64_t stages_made_ = 0;
};

}  // namespace holdfast
