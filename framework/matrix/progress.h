// How far a run is: one live line on a terminal, a log line now and then elsewhere.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "matrix/stage_kind.h"

namespace holdfast {

struct ProgressState {
  std::size_t done = 0;
  std::size_t total = 0;
  std::size_t failed = 0;
  std::map<StageKind, int> running;
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
  std::chrono::steady_clock::time_point last_;
};

}  // namespace holdfast
