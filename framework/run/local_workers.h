// Workers that are processes of this machine.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/worker_process.h"
#include "run/workers.h"

namespace holdfast {

/// What a worker process says of a stage that ended.
StageEnd end_of_stage(const Json& answer);

/// A process is started when there is work for it. One that died, met a changed file or may be broken is replaced, and so is
/// one that was stopped at the time limit of its stages, which each of them adds to.
class LocalWorkers final : public Workers {
 public:
  LocalWorkers(WorkerSetup setup, std::int64_t count, double stage_timeout);
  ~LocalWorkers() override;

  std::size_t count() const override;
  bool is_free(std::size_t worker) const override;
  const std::set<std::string>& warm(std::size_t worker) const override;
  bool give(std::size_t worker, const std::vector<StageRequest>& requests) override;
  std::vector<WorkerNews> wait() override;
  void ask_to_stop(std::size_t worker) override;
  void stop() override;
  /// Asks all of them.
  void ask_to_stop();

 private:
  struct Slot;

  void take_lines(std::size_t worker, std::vector<WorkerNews>& news);
  void take_end(std::size_t worker, const Json& line, std::vector<WorkerNews>& news);
  void take_death(std::size_t worker, std::vector<WorkerNews>& news);
  void stop_late();

  WorkerSetup setup_;
  double stage_timeout_;
  std::vector<Slot> slots_;
};

}  // namespace holdfast
