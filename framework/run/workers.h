// Who runs stages, as a run sees it: given a stage, told of its progress and its end. Processes of this machine are one such
// (local_workers.h), whoever takes work from a queue another (queued_workers.h).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "work/stages.h"

namespace holdfast {

/// What was given begins only now: it had to wait for whoever runs it.
struct StageBegan {};

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
  std::string how;      // "was killed by signal 11 (Segmentation fault)"
  bool killed = false;  // by SIGKILL: the kernel, for want of memory, or somebody else; maybe no doing of the stage's
};

/// It was asked to (Workers::ask_to_stop), and goes on where it was when it is given again.
struct StageStopped {};

using StageEnd = std::variant<StageDone, StageDamaged, StageFailed, StageTimedOut, WorkerDied, StageStopped>;

struct WorkerNews {
  std::size_t worker;
  std::variant<StageBegan, StageProgress, StageEnd> what;  // but for an end, of all its stages
  std::size_t stage = 0;                                   // that ended: its place among those given
};

/// Workers have numbers from 0. One that has no stage is free; after any end of each of its stages it is free again, whatever
/// became of its process. Where work waits in a queue, a worker is a place in it.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual std::size_t count() const = 0;
  virtual bool is_free(std::size_t worker) const = 0;
  /// Content digests of the weights that it has in memory.
  virtual const std::set<std::string>& warm(std::size_t worker) const = 0;
  /// One stage, or several that run together, each with an end of its own. Only to a free one. What is wrong with it is told by
  /// wait().
  /// False where it does not begin at once: wait() tells when it does.
  virtual bool give(std::size_t worker, const std::vector<StageRequest>& requests) = 0;
  /// Returns when there is something to tell, or after a fraction of a second.
  virtual std::vector<WorkerNews> wait() = 0;
  /// Asks a worker to keep what it has of its trainings and to end: soon each of its stages ends with StageStopped, unless it
  /// was done before, or its process died because it had not come to listen yet. Workers that cannot be asked go on.
  virtual void ask_to_stop(std::size_t /*worker*/) {}
  /// Called last. Ends all of them at once, and what they are doing, unless they go on without this run.
  virtual void stop() = 0;

  /// How many stages could begin now.
  virtual std::size_t idle() const {
    std::size_t free = 0;
    for (std::size_t worker = 0; worker < count(); ++worker) free += is_free(worker) ? 1 : 0;
    return free;
  }
  /// How many can be under way at a time.
  virtual std::size_t hands() const { return count(); }
};

}  // namespace holdfast
