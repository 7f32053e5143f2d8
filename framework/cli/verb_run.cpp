#include <unistd.h>

#include <iostream>

#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "report/reporter.h"
#include "run/plan_summary.h"
#include "run/run.h"

namespace holdfast::cli {
namespace {

std::string summary(const RunOutcome& outcome) {
  const std::string cached = std::to_string(outcome.stages_cached) + " cached";
  if (outcome.stages_run == 0 && outcome.failed == 0 && !outcome.interrupted) return "nothing to do: 0 stages run, " + cached;
  std::string text = std::to_string(outcome.stages_run) + " stages run, " + cached;
  if (outcome.failed > 0) {
    text +=
        "; " + std::to_string(outcome.failed) + " of " + std::to_string(outcome.cells) + " cells failed, their rows say why";
  }
  return text;
}

// 0: every cell is ok; 1: some failed; 130: interrupted.
int run(const RunOptions& options) {
  const RunOutcome outcome = run_scenario(options);
  const Results results = read_results(outcome.folder);
  write_reports(results, outcome.folder);
  if (outcome.interrupted) {
    const std::string meanwhile = options.launcher.empty() ? "" : "; workers go on with what is posted until then";
    std::cerr << summary(outcome) << "\ninterrupted: run the same command again and it goes on from here" << meanwhile << "\n";
    return 130;
  }
  std::cout << printed_report(results, {"", ::isatty(STDOUT_FILENO) == 1}) << "\n"
            << summary(outcome) << "\n"
            << to_string(outcome.cost) << "\nresults: " << outcome.folder.string()
            << "\npage: " << (outcome.folder / "leaderboard.html").string() << "\n";
  return outcome.failed > 0 ? 1 : 0;
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  auto samples = std::make_shared<std::string>("redacted");
  auto* verb = app.add_subcommand("run", "Run a scenario; what is stored already is not run again");
  verb->add_option("scenario", options->scenario, "TOML file")->required();
  verb->add_option("--results", options->results, "Folder of results (default: results)");
  verb->add_option("--store", options->store, "Folder of artifacts (default: .store in the folder of results)");
  verb->add_option("--workers", options->workers, "Worker processes (default: as the scenario says)")
      ->check(CLI::Range(1, 256));
  verb->add_option(
      "--launcher", options->launcher,
      "Who starts the workers: local, slurm, or a line of shell with {command} and maybe {n} {gpus} {memory} {time} "
      "(default: this run's own processes)");
  verb->add_option("--cluster", options->cluster, "TOML file in the place of the scenario's [cluster]")
      ->check(CLI::ExistingFile);
  verb->add_option("--lost-after", options->lost_after,
                   "Seconds without a word from a worker after which others take its work (default: 60)")
      ->check(CLI::Range(0.5, 86400.0));
  verb->add_option("--samples", *samples, "redacted (default) or full: whether samples/ holds prompts and replies")
      ->check(CLI::IsMember({"redacted", "full"}));
  verb->callback([&app, options, samples] {
    options->plugin_path = given_plugin_path(app);
    options->full_samples = *samples == "full";
    if (const int code = run(*options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
