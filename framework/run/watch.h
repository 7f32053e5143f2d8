// How far a run is, for whoever looks from elsewhere: a file of its results folder that the run keeps up.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "run/progress.h"

namespace holdfast {

struct RunState {
  std::string text;  // to_string(ProgressState)
  fs::path store;
  std::size_t done = 0, total = 0, failed = 0;
  double seconds_left = 0;
  bool over = false;  // the run ended, however
};

/// Beside the other results.
inline constexpr const char* kProgressFile = "progress.json";

RunState run_state(const ProgressState& state, const fs::path& store);
void write_run_state(const fs::path& results, const RunState& state);
/// Throws Error where no run has begun there.
RunState read_run_state(const fs::path& results);

/// A line for each worker of that store's queue: host, process, devices, and for how long it has been silent.
std::string workers_text(const fs::path& store);

}  // namespace holdfast
