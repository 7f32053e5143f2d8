#include "run/worker_setup.h"

#include <set>

#include "learn/device.h"

namespace holdfast {

std::vector<std::string> devices(const Scenario& scenario) {
  std::set<std::string> names;
  for (const auto& model : scenario.models) names.insert(device_for_workers(model.device));
  for (const auto& judge : scenario.judges) {
    if (!judge.needs.model.empty()) names.insert(device_for_workers(judge.needs.device));
  }
  return {names.begin(), names.end()};
}

WorkerSetup worker_setup(const Scenario& scenario, const fs::path& program, const fs::path& store, std::int64_t count) {
  return {.program = program,
          .store = store,
          .threads = scenario.threads,
          .limits = {scenario.memory_limit_gib, scenario.file_limit_gib, scenario.network},
          .own_output = false,
          .workers = count,
          .devices = devices(scenario)};
}

}  // namespace holdfast
