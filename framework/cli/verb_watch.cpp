#include <chrono>
#include <iostream>
#include <thread>

#include "cli/verbs.h"
#include "run/watch.h"

namespace holdfast::cli {
namespace {

void watch(const fs::path& results, bool once) {
  std::string said;
  for (;;) {
    const RunState state = read_run_state(results);
    const std::string text = state.over ? state.text + " | over" : state.text;
    if (text != said) std::cout << text << std::endl;
    if (once) std::cout << workers_text(state.store);
    if (state.over || once) return;
    said = text;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

void add_watch(CLI::App& app) {
  auto results = std::make_shared<std::string>();
  auto once = std::make_shared<bool>(false);
  auto* verb = app.add_subcommand("watch", "Show how far a run is, from any machine that sees its results");
  verb->add_option("results", *results, "Folder of the scenario's results: results/quickstart")->required();
  verb->add_flag("--once", *once, "Say it once, with the workers that there are, and end");
  verb->callback([results, once] { watch(*results, *once); });
}

}  // namespace holdfast::cli
