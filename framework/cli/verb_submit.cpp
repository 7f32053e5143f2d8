#include <cstdio>
#include <memory>

#include "cli/closed_division.h"
#include "cli/verbs.h"
#include "submission/package.h"

namespace holdfast::cli {
namespace {

void print_tries(const Packed& packed) {
  for (const auto& [plugin, count] : packed.tries) {
    std::printf("settings of %s that were tried: %lld, all in the log\n", plugin.c_str(), static_cast<long long>(count));
  }
}

// 0: packed; 1: refused.
int submit(const PackOptions& options) {
  const Packed packed = pack(options);
  print_tries(packed);
  for (const auto& broken : packed.broken) {
    std::fprintf(packed.written ? stdout : stderr, "%s %s\n", packed.written ? "breaks" : "holdfast: refused,",
                 to_string(broken).c_str());
  }
  if (!packed.written) return 1;
  std::printf("submission %s in %s, unverified: holdfast verify %s\n", packed.digest.c_str(), options.out.c_str(),
              options.out.c_str());
  return 0;
}

}  // namespace

void add_submit(CLI::App& app) {
  auto options = std::make_shared<PackOptions>();
  auto division = std::make_shared<std::string>("open");
  auto board = std::make_shared<std::string>(kBoardScenario);
  auto* verb = app.add_subcommand("submit", "Pack a run for a leaderboard: rows, digests, provenance and the log of tries");
  verb->add_option("results", options->results, "A scenario's results, such as results/leaderboard")
      ->required()
      ->type_name("DIR");
  verb->add_option("--out", options->out, "The folder to make")->required()->type_name("DIR");
  verb->add_option("--division", *division, "closed or open (default): docs/leaderboard.md")
      ->check(CLI::IsMember({"closed", "open"}));
  verb->add_option("--board", *board, std::string("The closed division's scenario (default: ") + kBoardScenario + ")");
  verb->add_option("--store", options->store, "Folder of artifacts (default: .store beside the results)");
  verb->callback([&app, options, division, board] {
    options->division = *division == "closed" ? Division::kClosed : Division::kOpen;
    if (options->division == Division::kClosed) options->board = closed_division(app, *board);
    if (options->store.empty()) options->store = fs::absolute(options->results).lexically_normal().parent_path() / ".store";
    if (const int code = submit(*options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
