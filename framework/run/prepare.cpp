#include "run/prepare.h"

#include <holdfast/error.h>

#include <algorithm>
#include <thread>

#include "base/engine_program.h"
#include "base/params_state.h"
#include "learn/checkpoint.h"
#include "plan/estimate.h"
#include "plugin/library.h"
#include "plugin/plugin_host.h"
#include "scenario/conversation_check.h"

namespace holdfast {
namespace {

Plan planned(const Scenario& scenario) {
  return make_plan(scenario, [](const std::string& source) {
    const bool missing = source != "organism" && !fs::exists(source);  // a gated one: only a plan goes on without it
    return missing ? missing_digest(source) : checkpoint_digest(source);
  });
}

void refuse_address(const std::string& store) {
  if (!store.starts_with("http://") && !store.starts_with("https://")) return;
  throw Error("--store is the address " + store +
              ", which only workers are given: name the folder that holdfast serve-store serves "
              "there, on its own machine");
}

// All that plugins are asked before a run, they are asked here.
Scenario read_scenario(const RunOptions& options, const fs::path& program) {
  PluginHost plugins(program, plugin_folders(options.plugin_path));
  return load_scenario(options.scenario, plugins);
}

}  // namespace

void refuse_missing(const Scenario& scenario) {
  std::string sentences;
  for (const auto& sentence : scenario.missing) sentences += (sentences.empty() ? "" : "\n") + sentence;
  if (!sentences.empty()) throw Error(sentences);
}

Prepared prepare(const RunOptions& options, bool to_run) {
  refuse_address(options.store.string());
  const fs::path program = options.program.empty() ? engine_program() : options.program;
  Scenario scenario = read_scenario(options, program);
  if (to_run) refuse_missing(scenario);
  if (options.workers > 0) scenario.workers = options.workers;
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  if (scenario.threads == 0) scenario.threads = std::max<std::int64_t>(1, cores / scenario.workers);
  const bool elsewhere = !options.launcher.empty() && options.launcher != "local";
  auto store =
      std::make_unique<Store>(options.store.empty() ? options.results / ".store" : options.store, elsewhere ? kPatience : 0);
  StoreIndex index(*store);
  Plan plan = planned(scenario);
  if (options.only) plan = part_of_plan(plan, options.only);
  std::vector<double> seconds = estimate_seconds(plan, scenario, index);
  std::vector<std::string> notes = check_conversations(scenario);
  return {program,         std::move(scenario), std::move(store), std::move(index),
          std::move(plan), std::move(seconds),  std::move(notes)};
}

}  // namespace holdfast
