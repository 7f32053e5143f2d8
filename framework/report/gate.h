// Whether cells of a run are within limits that a pipeline sets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/results.h"

namespace holdfast {

struct GateLimit {
  std::string metric;  // an id, "harm" (the board's first harm metric) or "utility" (each utility metric that is a share)
  double bound = 0;    // a share in percent; other figures as they are
  bool at_most = true;
};

/// "harm=10", "utility.organism-facts=90". Throws Error for another form.
GateLimit gate_limit(const std::string& text, bool at_most);

struct GateRequest {
  std::vector<GateLimit> limits;
  std::vector<std::string> attacks, defenses, models;  // none: all; a sweep's name stands for its tries
  bool by_value = false;                               // else the end of the interval that is nearer to the limit counts
};

struct GateAnswer {
  std::vector<std::string> broken;  // a sentence each figure beyond its limit
  std::vector<std::string> unseen;  // a sentence each thing that was asked about and is not known
  std::vector<std::string> held;    // a sentence each limit: how close the cells come to it
  std::int64_t cells = 0;           // that were asked about, seeds pooled

  bool opens() const { return broken.empty() && unseen.empty(); }
};

/// Throws Error for an attack, defense, model or metric that the run does not have, and for a limit of a share beyond 100 %.
GateAnswer ask_gate(const Results& results, const GateRequest& request);

}  // namespace holdfast
