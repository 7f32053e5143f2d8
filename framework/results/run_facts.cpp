#include "results/run_facts.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

fs::path run_file(const fs::path& results_folder) { return results_folder / "run.json"; }

RunFacts facts_of(const Json& run) {
  RunFacts facts;
  facts.tasks = run.value("tasks", facts.tasks);
  facts.samples = run.value("samples", facts.samples);
  facts.definitions = run.value("definitions", facts.definitions);
  facts.scenario = run.value("/scenario/name"_json_pointer, "");
  const Json board = run.value("board", Json::object());
  facts.board.utility_bound = board.value("utility_bound", facts.board.utility_bound);
  facts.board.reference = board.value("reference", Json());
  facts.prices = run.value("prices", Json());
  return facts;
}

}  // namespace

Json to_json(const BoardRules& rules) { return {{"utility_bound", rules.utility_bound}, {"reference", rules.reference}}; }

void write_run_file(const fs::path& results_folder, Json about, const RunFacts& facts) {
  about["tasks"] = facts.tasks;
  about["samples"] = facts.samples;
  about["definitions"] = facts.definitions;
  about["board"] = to_json(facts.board);
  about["prices"] = facts.prices;
  write_file(run_file(results_folder), about.dump(1) + "\n");
}

Json read_run_file(const fs::path& results_folder) {
  const fs::path file = run_file(results_folder);
  return fs::exists(file) ? parse_json(read_file(file), file.string()) : Json();
}

RunFacts read_run_facts(const fs::path& results_folder) {
  const Json run = read_run_file(results_folder);
  if (run.is_null()) return {};
  try {
    return facts_of(run);
  } catch (const Json::exception&) {
    throw Error(
        run_file(results_folder).string() +
        " is damaged: \"tasks\", \"samples\" and \"definitions\" are objects of words, \"board\" is one of rules; run the "
        "scenario again to write it anew");
  }
}

}  // namespace holdfast
