#include <cstdio>
#include <memory>

#include "cli/closed_division.h"
#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "submission/verify.h"

namespace holdfast::cli {
namespace {

// 0: verified; 1: it differs.
int verify(const Package& package, const VerifyOptions& options) {
  const Verification found = holdfast::verify(package, options, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  for (const auto& sentence : found.differences) std::fprintf(stderr, "holdfast: differs, %s\n", sentence.c_str());
  if (!found.differences.empty()) return 1;
  for (const auto& cell : found.cells) std::printf("run anew: %s\n", cell.c_str());
  std::printf("verified: submission %s; %s\n", package.digest().c_str(),
              found.same_machine ? "on the same machine, where figures and replies are equal"
                                 : "on another machine or build, where figures agree within the noise floor");
  return 0;
}

}  // namespace

void add_verify(CLI::App& app) {
  auto folder = std::make_shared<std::string>();
  auto options = std::make_shared<VerifyOptions>();
  auto board = std::make_shared<std::string>(kBoardScenario);
  auto* verb = app.add_subcommand("verify", "Check a submission and run a random tenth of its cells anew, with its plugins");
  verb->add_option("submission", *folder, "A folder that holdfast submit made")->required()->type_name("DIR");
  verb->add_option("--scenario", options->scenario, "The submission's scenario where the paths in it lead to its files");
  verb->add_option("--board", *board, std::string("The closed division's scenario (default: ") + kBoardScenario + ")");
  verb->add_option("--results", options->results, "Keep the results of the cells that are run here")->type_name("DIR");
  verb->add_option("--store", options->store, "Keep their artifacts here (default: .store in the folder of results)");
  verb->callback([&app, folder, options, board] {
    const Package package = read_package(*folder);
    options->plugin_path = given_plugin_path(app);
    if (package.division == Division::kClosed) options->board = closed_division(app, *board);
    if (const int code = verify(package, *options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
