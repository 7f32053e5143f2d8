// The workers that a run keeps up while it lasts.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "run/launcher.h"

namespace holdfast {

struct CrewPauses {
  double between_looks = 10;  // seconds, in which a worker that was started shows itself
  double until_told = 30;     // seconds in which work waits and no worker shows itself, before that is said
};

class Crew {
 public:
  Crew(std::unique_ptr<Launcher> launcher, std::vector<WorkerClass> classes, fs::path logs, CrewPauses pauses = {});

  std::size_t wanted() const;
  /// There is something to do: starts those that are missing beside the ones that were noted. Throws Error where the system
  /// refuses.
  void begin();
  /// So many workers are there, and so many pieces of work wait to be taken. Once it began, replaces those that are gone as far
  /// as there is work for them, and says it where none comes. Throws Error where workers end as soon as they begin.
  void note(std::size_t there, std::size_t waiting);
  /// So many stages are done: whoever started in between was right.
  void done(std::size_t stages);
  /// The run is over.
  void end() { launcher_->end(); }

 private:
  using Clock = std::chrono::steady_clock;

  std::optional<std::int64_t> missing();
  void start(std::int64_t count);
  void tell_if_none_comes(std::size_t waiting);

  std::unique_ptr<Launcher> launcher_;
  std::vector<WorkerClass> classes_;
  fs::path logs_;
  CrewPauses pauses_;
  std::size_t there_ = 0;
  std::size_t done_ = 0;
  std::int64_t starts_ = 0;  // since something was done
  bool begun_ = false;
  bool told_ = false;
  Clock::time_point looked_{}, seen_{};
};

}  // namespace holdfast
