// What a scenario comes to before it is run: its distinct stages, stored and to run, and the time that they take.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "plan/matrix_cost.h"
#include "run/prepare.h"

namespace holdfast {

struct PlanSummary {
  std::int64_t cells = 0;
  std::map<std::string, std::int64_t> tries;                   // of each attack that is a sweep
  std::map<std::string, std::int64_t> stages, cached, to_run;  // by kind, all seven
  double seconds = 0;                                          // until the run's end, of what is to run
  MatrixCost cost;                                             // stored stages by what they took, the others by their estimates
  Json configurations;                                         // as configurations() of the scenario gives them
  std::vector<std::string> missing;                            // a sentence for each gated file that is not there
  std::vector<std::string> notes;   // what a model's chat template does to what it is asked (scenario/conversation_check.h)
  std::vector<std::string> faults;  // a sentence for each attack and defense whose plugin died; their stages do not run
};

/// Throws Error for a bad scenario; one that only lacks gated files is planned as far as it can be.
PlanSummary plan_scenario(const RunOptions& options);
Json to_json(const PlanSummary& summary);
/// A table for people.
std::string to_string(const PlanSummary& summary);

/// "distinct stages 4 min, cells one by one 20 min: 0.22 of it"
std::string to_string(const MatrixCost& cost);

}  // namespace holdfast
