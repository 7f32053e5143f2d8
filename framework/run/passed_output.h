// What worker processes print, on its way to where this program's own messages go.
#pragma once

#include <cstddef>

#include "base/worker_process.h"

namespace holdfast {

class PassedOutput {
 public:
  /// The process was given something new to do: it may print as much again.
  void begin() { printed_ = 0; }
  /// Passes on what it has printed, up to 1 MiB for what it was given.
  void pass_on(WorkerProcess& process);

 private:
  std::size_t printed_ = 0;
};

}  // namespace holdfast
