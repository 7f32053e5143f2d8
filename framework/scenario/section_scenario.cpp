// [scenario]: the name, the seeds, and what a run may use of the machine.
#include <algorithm>
#include <set>
#include <thread>

#include "scenario/sections.h"

namespace holdfast {

void read_run_settings(Reading& reading, ScenarioTable& root) {
  ScenarioTable table = root.section("scenario");
  Scenario& scenario = reading.scenario;
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  scenario.name = table.text("name", scenario.path.stem().string());
  if (scenario.name.empty() || scenario.name.find('/') != std::string::npos || scenario.name.front() == '.') {
    table.mistake("name", "\"name\" in [scenario] is \"" + scenario.name + "\", expected the name of a folder");
  }
  scenario.seeds = table.integers("seeds", {1}, 1);
  const std::set<std::int64_t> distinct(scenario.seeds.begin(), scenario.seeds.end());
  if (distinct.size() != scenario.seeds.size()) table.mistake("seeds", "\"seeds\" in [scenario] names a seed twice");
  scenario.workers = table.integer("workers", reading.organism_only ? cores : 1, 1, 256);
  scenario.threads = table.integer("threads", 0, 1, 1024);
  scenario.stage_timeout = table.number("stage_timeout", 7200, 0.01);
  reading.plugins.limit(scenario.stage_timeout);
  scenario.gang = table.integer("gang", scenario.gang, 1, 64);
  scenario.memory_limit_gib = table.number("memory_limit_gib", 0, 0);
  scenario.file_limit_gib = table.number("file_limit_gib", 0, 0);
  scenario.network = table.flag("network", false);
  scenario.disk_budget_gib = table.number("disk_budget_gib", 0, 0);
  table.finish();
}

}  // namespace holdfast
