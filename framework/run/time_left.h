// How long a run will still take, learnt from what its stages took.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "run/stage_graph.h"

namespace holdfast {

/// Estimates know neither this machine nor its load: a pace is what stages took beside what they were estimated at.
class Pace {
 public:
  void add(StageKind kind, double spent, double expected);
  /// That of the kind, or of all kinds where none of it ran yet, or 1.
  double of(StageKind kind) const;
  double of_all() const;

 private:
  struct Paid {
    double spent = 0;     // seconds of stages that ran
    double expected = 0;  // what they were estimated at
  };
  std::array<Paid, kStageKindCount> paid_;
};

/// A stage that is under way.
struct Underway {
  StageKind kind;
  double seconds = 0;  // its estimate
  double path = 0;     // that of its longest way to the end, itself included
  double spent = 0;    // seconds so far
  double part = 0;     // that is done; 0 where it is not known
};

/// Seconds until all is settled with that many workers: the work shared out, but never less than the longest way that is ready
/// or under way. Takes no longer for a large matrix.
double seconds_left(const StageGraph& graph, const Schedule& schedule, Pace pace, const std::vector<Underway>& running,
                    std::size_t workers);

}  // namespace holdfast
