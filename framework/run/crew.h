// The workers that a run keeps up while it lasts.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "run/launcher.h"

namespace holdfast {

class Crew {
 public:
  Crew(std::unique_ptr<Launcher> launcher, std::vector<WorkerClass> classes, fs::path logs);

  std::size_t wanted() const;
  /// Starts what is missing beside those that are there. Throws Error where the system refuses, or where workers end as soon as
  /// they begin.
  void keep(std::size_t there);
  /// Some work was done: whoever started was right.
  void well() { starts_ = 0; }
  /// The run is over.
  void end() { launcher_->end(); }

 private:
  using Clock = std::chrono::steady_clock;

  std::unique_ptr<Launcher> launcher_;
  std::vector<WorkerClass> classes_;
  fs::path logs_;
  std::int64_t starts_ = 0;  // since some work was done
  bool begun_ = false;
  Clock::time_point started_{};
};

}  // namespace holdfast
