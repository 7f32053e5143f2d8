#include <iostream>

#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "run/plan_summary.h"

namespace holdfast::cli {

void add_plan(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  auto json = std::make_shared<bool>(false);
  auto* verb = app.add_subcommand("plan", "Show the distinct stages of a scenario: stored, to run, and for how long");
  verb->add_option("scenario", options->scenario, "TOML file")->required();
  verb->add_option("--results", options->results, "Folder of results (default: results)");
  verb->add_option("--store", options->store, "Folder of artifacts (default: .store in the folder of results)");
  verb->add_option("--workers", options->workers, "Worker processes (default: as the scenario says)")
      ->check(CLI::Range(1, 256));
  verb->add_flag("--json", *json, "One JSON object");
  verb->callback([&app, options, json] {
    options->plugin_path = given_plugin_path(app);
    const PlanSummary summary = plan_scenario(*options);
    std::cout << (*json ? to_json(summary).dump() + "\n" : to_string(summary));
  });
}

}  // namespace holdfast::cli
