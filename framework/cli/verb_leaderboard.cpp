#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/verbs.h"
#include "report/leaderboard.h"

namespace holdfast::cli {

void add_leaderboard(CLI::App& app) {
  auto* verb = app.add_subcommand("leaderboard", "Print a run's leaderboard and write its .md and .csv again");
  const auto folder = std::make_shared<std::string>();
  verb->add_option("results", *folder, "A scenario's results, such as results/quickstart")->required()->type_name("DIR");
  verb->callback([folder] {
    write_leaderboard(*folder);
    std::fputs(leaderboard_table(*folder, ::isatty(STDOUT_FILENO) == 1).c_str(), stdout);
  });
}

}  // namespace holdfast::cli
