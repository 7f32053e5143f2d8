#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>

#include "cli/verbs.h"
#include "report/reporter.h"

namespace holdfast::cli {
namespace {

std::string description() {
  std::string files;
  for (const auto& format : report_formats()) {
    if (format.place == ReportPlace::kResults) files += (files.empty() ? "" : ", ") + format.files;
  }
  return "Print the leaderboard of a run, or of several as one; of one run write its files again: " + files;
}

}  // namespace

void add_leaderboard(CLI::App& app) {
  auto* verb = app.add_subcommand("leaderboard", description());
  const auto runs = std::make_shared<std::vector<fs::path>>();
  verb->add_option("results", *runs, "Results of scenarios, such as results/quickstart")->required()->type_name("DIR");
  const auto metric = std::make_shared<std::string>();
  verb->add_option("--metric", *metric, "The harm metric to print, such as harmful.rubric (default: the first of the .md)");
  const auto samples = std::make_shared<std::string>("redacted");
  verb->add_option("--samples", *samples, "redacted (default) or full: whether an export holds the texts of samples/")
      ->check(CLI::IsMember({"redacted", "full"}));
  const auto folders = std::make_shared<std::map<std::string, std::string>>();  // by format
  for (const auto& format : report_formats()) {
    if (format.place != ReportPlace::kFolder) continue;
    verb->add_option("--" + format.name, (*folders)[format.name], "Write here too: " + format.about)->type_name("DIR");
  }
  verb->callback([runs, metric, samples, folders] {
    const Results results = read_results(*runs);
    if (runs->size() == 1) write_reports(results, runs->front());
    for (const auto& format : report_formats()) {
      const auto given = folders->find(format.name);
      if (given == folders->end() || given->second.empty()) continue;
      const std::int64_t written = write_report(format, results, given->second, {*metric, false, *samples == "full"});
      std::printf("%lld %s files in %s\n\n", static_cast<long long>(written), format.name.c_str(), given->second.c_str());
    }
    std::fputs(printed_report(results, {*metric, ::isatty(STDOUT_FILENO) == 1}).c_str(), stdout);
  });
}

}  // namespace holdfast::cli
