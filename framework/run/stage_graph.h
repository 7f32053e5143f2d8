// Where the stages of a plan are: waiting, ready, running, done, to be made again.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plan/plan.h"
#include "run/schedule.h"
#include "run/stage_links.h"
#include "store/disk_budget.h"
#include "store/store_index.h"

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
  bool dropped = false;  // the store has no more than the digest
  std::string key;
  std::string digest;  // content digest of the artifact; stays known while its files are made again
  std::string status;  // of a failed node: "failed" or "timeout"
  std::string message;
};

/// "stage screen (plugin data-filter)"
std::string stage_text(const PlanNode& stage);

/// Puts stages that may run into the schedule, and takes out those that may not any more. All that is counted here is kept up
/// with each change: nothing takes longer because the matrix is large.
class StageGraph {
 public:
  /// `seconds`: each node's estimate.
  StageGraph(const Plan& plan, StoreIndex& index, DiskBudget& budget, Schedule& schedule, std::vector<double> seconds);

  /// Settles everything that the store already has. Calls on_settled for each node that is done or failed, now and later.
  void start(std::function<void(std::size_t)> on_settled);

  const std::vector<NodeOutcome>& outcomes() const { return outcomes_; }
  std::size_t unsettled() const { return unsettled_; }
  std::size_t failed() const { return failed_; }
  /// Estimated seconds of all unsettled nodes of that kind.
  double seconds_left(StageKind kind) const { return seconds_left_[static_cast<std::size_t>(kind)]; }
  double seconds(std::size_t node) const { return seconds_[node]; }
  /// Content digests of the inputs, in their order; all of them are known of a ready node.
  std::vector<std::string> input_digests(std::size_t node) const;

  /// The schedule gave that node to a worker.
  void run(std::size_t node);
  /// False once a stage before it failed: what becomes of it counts no more.
  bool is_running(std::size_t node) const { return outcomes_[node].state == NodeState::kRunning; }
  /// A running node that shall be given once more.
  void again(std::size_t node);
  // What became of a running node.
  void done(std::size_t node, StoredArtifact artifact);
  void fail(std::size_t node, const std::string& status, const std::string& message);
  /// A worker found a file of an artifact damaged or gone: the stage that made it runs again, and this one waits for it. Other
  /// stages may report the same, while it runs or after it ran: they wait too, or try once more.
  void damaged(std::size_t node, StageKind kind, const std::string& key, const std::string& message);

 private:
  void set_state(std::size_t node, NodeState state);
  void set_key(std::size_t node, std::string key);
  void settle(std::size_t node);
  void finish(std::size_t node, const std::string& digest, bool dropped);
  std::vector<std::size_t> land(std::size_t node);
  bool outdated(std::size_t node) const;
  bool files_are_there(std::size_t node);
  std::vector<std::size_t> release(std::size_t node);
  void make_again(std::size_t node);
  std::vector<std::size_t> done_with_key(const std::string& key) const;
  std::string wanted_weights(std::size_t node) const;
  std::string shape_of(std::size_t node) const;
  void hold(std::size_t node);
  void let_go(std::size_t node);

  const Plan& plan_;
  StoreIndex& index_;
  DiskBudget& budget_;
  Schedule& schedule_;
  std::vector<double> seconds_;
  StageLinks links_;
  std::function<void(std::size_t)> on_settled_;
  std::vector<NodeOutcome> outcomes_;
  std::size_t unsettled_ = 0;
  std::size_t failed_ = 0;
  std::array<double, kStageKindCount> seconds_left_{};
  std::vector<std::uint32_t> users_;                                // by node: unsettled nodes that read its files, or itself
  std::unordered_multimap<std::size_t, std::uint32_t> keyed_;       // hash of a key -> nodes that have or had it
  std::unordered_map<std::string, std::size_t> in_flight_;          // key -> the node that stands for it
  std::unordered_map<std::size_t, std::vector<std::size_t>> same_;  // ... -> nodes with the same key
  std::unordered_set<std::string> wanted_;                          // keys whose dropped files are needed again
  std::unordered_map<std::string, int> made_again_;                 // key -> times that damage made it run again
  std::uint64_t clock_ = 0;                                         // of the two that follow
  std::vector<std::uint64_t> done_at_, run_at_;                     // when each node was last done, and given to a worker
  bool contents_changed_ = false;                                   // an artifact, made again, holds something else than before
};

}  // namespace holdfast
