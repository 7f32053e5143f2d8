// Runs a plan's stages on worker processes.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/worker_process.h"
#include "plan/plan.h"
#include "run/progress.h"
#include "store/store.h"
#include "work/stages.h"

namespace holdfast {

enum class NodeState {
  kWaiting,  // its inputs, or files that it reads, are not there yet
  kReady,    // may run now
  kRunning,
  kSame,  // another node with the same key is ready or running
  kDone,
  kFailed,  // it or a stage before it failed
};

struct NodeOutcome {
  NodeState state = NodeState::kWaiting;
  std::string key;
  std::string digest;    // content digest of the artifact; stays known while its files are made again
  bool dropped = false;  // the store has no more than the digest
  std::string status;    // of a failed node: "failed" or "timeout"
  std::string message;
  std::vector<std::string> inputs;  // content digests that the key was made of
};

struct ExecutorOptions {
  WorkerSetup setup;
  std::int64_t workers = 1;
  double stage_timeout = 7200;
  std::uint64_t disk_budget = 0;  // bytes of the store; 0: none
};

class Executor {
 public:
  Executor(const Plan& plan, const Scenario& scenario, Store& store, std::vector<double> seconds, ExecutorOptions options);
  ~Executor();

  /// Settles everything that the store already has. Calls on_settled for each node that is done.
  void start(std::function<void(std::size_t)> on_settled);
  /// Runs what is left. Returns false when the user interrupted it.
  bool run();

  const std::vector<NodeOutcome>& outcomes() const { return outcomes_; }
  std::size_t unsettled() const;
  std::size_t stages_run() const { return stages_run_; }     // whatever came of them
  std::int64_t stages_made() const { return stages_made_; }  // those that gave an artifact

 private:
  struct Slot;

  void settle(std::size_t node);
  void finish(std::size_t node, const std::string& digest, bool dropped = false);
  void fail(std::size_t node, const std::string& status, const std::string& message);
  bool outdated(std::size_t node) const;
  bool files_are_there(std::size_t node);
  std::vector<std::size_t> release(std::size_t node);
  void make_again(std::size_t node);
  void recompute(const Slot& slot, std::size_t node, const Json& answer);
  void keep_budget();
  std::string stage_text(std::size_t node) const;

  std::size_t pick(const Slot& slot) const;
  void dispatch();
  StageRequest request(std::size_t node) const;
  WeightsRef weights(std::size_t node, const StageInput* last) const;
  std::string wanted_weights(std::size_t node) const;
  void wait_for_answers();
  void take_answer(Slot& slot);
  void handle(Slot& slot, const Json& answer);
  void settle_answer(const Slot& slot, std::size_t node, const Json& answer);
  void handle_death(Slot& slot);
  void stop_late();
  double pace(StageKind kind) const;
  void show_progress();

  const Plan& plan_;
  const Scenario& scenario_;
  Store& store_;
  std::vector<double> seconds_, paths_;
  ExecutorOptions options_;
  std::function<void(std::size_t)> on_settled_;
  std::vector<NodeOutcome> outcomes_;
  std::vector<std::vector<std::size_t>> reads_, readers_;  // by node: whose files it reads, and who reads its files
  std::map<std::string, std::size_t> in_flight_;           // key -> the node that stands for it
  std::map<std::size_t, std::vector<std::size_t>> same_;   // ... -> nodes with the same key
  std::set<std::string> wanted_;                           // keys whose dropped files are needed again
  std::map<std::string, int> recomputed_;                  // key -> times that damage made it run again
  std::uint64_t clock_ = 0;                                // of made_ and of the slots' dispatches
  std::vector<std::uint64_t> made_;                        // when each node was last done
  std::set<std::size_t> ready_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Progress progress_;
  std::size_t stages_run_ = 0;
  std::int64_t stages_made_ = 0;
  std::uint64_t stored_ = 0;    // bytes, as far as this run knows
  std::set<std::string> kept_;  // keys that the last collection had to keep
  struct Paid {
    double spent = 0;     // seconds of stages that ran
    double expected = 0;  // what they were estimated at
  };
  std::map<StageKind, Paid> paid_;
};

}  // namespace holdfast
