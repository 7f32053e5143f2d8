#include "results/run_facts.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

fs::path run_file(const fs::path& results_folder) { return results_folder / "run.json"; }

}  // namespace

void write_run_file(const fs::path& results_folder, Json about, const RunFacts& facts) {
  about["tasks"] = facts.tasks;
  about["samples"] = facts.samples;
  write_file(run_file(results_folder), about.dump(1) + "\n");
}

RunFacts read_run_facts(const fs::path& results_folder) {
  const fs::path file = run_file(results_folder);
  if (!fs::exists(file)) return {};
  const Json run = parse_json(read_file(file), file.string());
  try {
    return {run.value("tasks", std::map<std::string, std::string>()),
            run.value("samples", std::map<std::string, std::string>())};
  } catch (const Json::exception&) {
    throw Error(file.string() +
                " holds \"tasks\" or \"samples\" that are no object of words; run the scenario again to write it anew");
  }
}

}  // namespace holdfast
