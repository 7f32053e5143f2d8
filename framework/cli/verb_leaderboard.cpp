#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/verbs.h"
#include "report/leaderboard.h"
#include "report/lm_eval.h"

namespace holdfast::cli {

void add_leaderboard(CLI::App& app) {
  auto* verb = app.add_subcommand("leaderboard", "Print a run's leaderboard and write its .md and .csv again");
  const auto folder = std::make_shared<std::string>();
  verb->add_option("results", *folder, "A scenario's results, such as results/quickstart")->required()->type_name("DIR");
  const auto metric = std::make_shared<std::string>();
  verb->add_option("--metric", *metric, "The harm metric to print, such as harmful.rubric (default: the first of the .md)");
  const auto lm_eval = std::make_shared<std::string>();
  verb->add_option("--lm-eval", *lm_eval, "Write the utility figures here too, a results file a cell in lm-eval's form")
      ->type_name("DIR");
  verb->callback([folder, metric, lm_eval] {
    write_leaderboard(*folder);
    if (!lm_eval->empty()) std::printf("%d lm-eval files in %s\n\n", write_lm_eval(*folder, *lm_eval), lm_eval->c_str());
    std::fputs(leaderboard_table(*folder, *metric, ::isatty(STDOUT_FILENO) == 1).c_str(), stdout);
  });
}

}  // namespace holdfast::cli
