// One order on its way: where its stages are, and what its customer was told.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "run/schedule.h"
#include "run/stage_graph.h"
#include "service/pipeline.h"
#include "service/tuning.h"
#include "store/disk_budget.h"

namespace holdfast {

/// Its owner gives its stages to workers and tells its graph how they ended; advance() then tells the listener what became of
/// it. Of one thread.
class TuningJob {
 public:
  /// `listener`: null for weights on offer, which nobody ordered. What is given outlives it.
  TuningJob(std::string name, std::shared_ptr<const Pipeline> pipeline, StoreIndex& index, DiskBudget& budget,
            TuningListener* listener);

  const std::string& name() const { return name_; }
  const Plan& plan() const { return pipeline_->made; }
  StageGraph& graph() { return *graph_; }
  Schedule& schedule() { return *schedule_; }
  bool is_order() const { return listener_ != nullptr; }

  /// From what the store has; also once more, where that changed. The job fails where artifacts are damaged again and again.
  void begin();
  /// A stage of it runs now, its own or one that it shares.
  void runs(std::size_t node);
  void progressed(const Json& progress);
  /// Tells what happened since. How it ended, once it has: nothing of it shall run any more.
  std::optional<TuningEnd> advance();
  void tell(const TuningEnd& end);

 private:
  void tell_began(StageKind kind);
  std::optional<TuningEnd> settled(std::size_t node);
  void compare();
  TuningEnd succeeded();
  Dataset rows(std::size_t node);

  std::string name_;
  std::shared_ptr<const Pipeline> pipeline_;
  StoreIndex& index_;
  DiskBudget& budget_;
  TuningListener* listener_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<StageGraph> graph_;
  std::vector<std::size_t> settled_;  // nodes, since the listener was told
  std::set<StageKind> told_;
  std::optional<std::int64_t> rows_;  // that are trained, once they were compared
  int begun_ = 0;
};

}  // namespace holdfast
