// How far a long piece of work is, told to whoever listens in this process. A training, a generation or a scoring knows it,
// and a worker passes it on to its run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace holdfast {

struct WorkProgress {
  std::string unit;  // of `done` and `total`, singular: "step", "reply"
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::int64_t tokens = 0;     // worked on so far by this piece of work, in this process
  std::optional<double> loss;  // of a training's last step
};

/// One listener a process; an empty one ends it. It is called by one thread at a time and decides how often it passes something
/// on.
void listen_to_progress(std::function<void(const WorkProgress&)> listener);

/// Cheap when nobody listens.
void tell_progress(const WorkProgress& progress);

}  // namespace holdfast
