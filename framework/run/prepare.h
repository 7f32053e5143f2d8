// What run and plan begin with: the scenario read, its plan made, the store listed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "plan/part_of_plan.h"
#include "scenario/scenario.h"
#include "store/store_index.h"

namespace holdfast {

/// Seconds for which a file server may show late what another machine has written (docs/cluster.md).
inline constexpr double kPatience = 10;

struct RunOptions {
  fs::path scenario;
  fs::path results = "results";
  fs::path store;  // empty: <results>/.store
  std::vector<std::string> plugin_path;
  std::int64_t workers = 0;  // 0: as the scenario says
  bool full_samples = false;
  std::string launcher;  // "local", "slurm" or a template: stages are taken from a queue by workers that it starts; empty: this
                         // run's own processes get them
  fs::path cluster;      // a file in the place of [cluster]
  double lost_after = 60;                     // seconds without a beat after which a worker of the queue counts as lost
  std::function<bool(const CellName&)> only;  // the cells that are run, with the stages that they need; empty: all
  fs::path program;                           // started as workers and to ask plugins; empty: engine_program()
};

struct Prepared {
  fs::path program;
  Scenario scenario;
  std::unique_ptr<Store> store;
  StoreIndex index;  // of it
  Plan plan;
  std::vector<double> seconds;     // each node's estimate
  std::vector<std::string> notes;  // what a model's chat template does to what it is asked (scenario/conversation_check.h)
};

/// Throws Error with a sentence for each gated file that is not there.
void refuse_missing(const Scenario& scenario);

/// Throws Error for a bad scenario, for a store that cannot be written and, `to_run`, for a missing gated file.
Prepared prepare(const RunOptions& options, bool to_run);

}  // namespace holdfast
