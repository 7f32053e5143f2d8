// Who runs stages, as a run sees it: given a stage, told of its progress and its end. Local processes are one such
// (local_workers.h); machines of a cluster would be another.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "work/stages.h"

namespace holdfast {

/// A stage is under way; what work_text() reads (progress.h).
struct StageProgress {
  Json progress;
};

// How a stage ended.
struct StageDone {
  std::string digest;  // of the artifact, which is stored now
  double seconds = 0;
  std::uint64_t bytes = 0;
};
/// A file of an artifact that it reads is damaged or gone.
struct StageDamaged {
  StageKind kind;  // of that artifact
  std::string key;
  std::string message;
};
struct StageFailed {
  std::string message;
  bool broken = false;  // nobody knows what state the worker was in, nor whose fault it is where several stages ran there
};
struct StageTimedOut {
  double limit = 0;  // seconds
};
struct WorkerDied {
  std::string how;  // "was killed by signal 11 (Segmentation fault)"
};

using StageEnd = std::variant<StageDone, StageDamaged, StageFailed, StageTimedOut, WorkerDied>;

struct WorkerNews {
  std::size_t worker;
  std::variant<StageProgress, StageEnd> what;  // progress is that of all its stages
  std::size_t stage = 0;                       // that ended: its place among those given
};

/// Workers have numbers from 0. One that has no stage is free; after any end of each of its stages it is free again, whatever
/// became of its process.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual std::size_t count() const = 0;
  virtual bool is_free(std::size_t worker) const = 0;
  /// Content digests of the weights that it has in memory.
  virtual const std::set<std::string>& warm(std::size_t worker) const = 0;
  /// One stage, or several that run together, each with an end of its own. Only to a free one. What is wrong with it is told by
  /// wait().
  virtual void give(std::size_t worker, const std::vector<StageRequest>& requests) = 0;
  /// Returns when there is something to tell, or after a fraction of a second.
  virtual std::vector<WorkerNews> wait() = 0;
  /// Ends all of them at once, and what they are doing.
  virtual void stop() = 0;
};

}  // namespace holdfast
