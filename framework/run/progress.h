// How far a run is: one live line on a terminal, a log line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/stage_kind.h"

namespace holdfast {

/// {"unit", "done", "total", "loss", "rate"} of a stage that is under way, the last two where they are known: "step 40 of 180,
/// loss 1.23, 3100 tokens/s". Empty for an empty object.
std::string work_text(const Json& progress);
/// Whether it is such an object, as what another machine's worker shows may not be.
bool is_progress(const Json& progress);
/// 0 to 1; 0 where it is not known.
double part_done(const Json& progress);

struct RunningStage {
  StageKind kind = StageKind::kAlign;
  std::string work;       // how far it is, or empty
  std::size_t count = 1;  // of stages that run together
};

struct ProgressState {
  std::size_t done = 0;
  std::size_t total = 0;
  std::size_t failed = 0;
  std::vector<RunningStage> running;
  double seconds_left = 0;
};

std::string to_string(const ProgressState& state);

/// "45 s", "3 min", "2 h 10 min".
std::string duration_text(double seconds);

class Progress {
 public:
  Progress();
  ~Progress();  // ends the live line
  /// Whether it is time to show something; the state costs a little to gather.
  bool due() const;
  void show(const ProgressState& state);

 private:
  bool terminal_;
  bool open_ = false;  // a live line is on the screen
  std::chrono::steady_clock::time_point begun_, last_;
};

}  // namespace holdfast
