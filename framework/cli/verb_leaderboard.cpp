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

// Where --html puts the page: the folder that it names; else the run's own, or for several a new one.
fs::path page_folder(const std::string& given, const std::vector<fs::path>& runs) {
  if (!given.empty()) return given;
  return runs.size() == 1 ? runs.front() : fs::path("leaderboard");
}

}  // namespace

void add_leaderboard(CLI::App& app) {
  auto* verb = app.add_subcommand("leaderboard", description());
  const auto runs = std::make_shared<std::vector<fs::path>>();
  verb->add_option("results", *runs, "Results of scenarios, such as results/quickstart")->required()->type_name("DIR");
  const auto metric = std::make_shared<std::string>();
  verb->add_option("--metric", *metric, "The harm metric to print, such as harmful.rubric (default: the first of the .md)");
  const auto samples = std::make_shared<std::string>("redacted");
  verb->add_option("--samples", *samples, "redacted (default) or full: whether an export or a page holds the texts of samples/")
      ->check(CLI::IsMember({"redacted", "full"}));
  const auto folders = std::make_shared<std::map<std::string, std::string>>();  // by format
  for (const auto& format : report_formats()) {
    if (format.place != ReportPlace::kFolder) continue;
    verb->add_option("--" + format.name, (*folders)[format.name], "Write here too: " + format.about)->type_name("DIR");
  }
  const auto html = std::make_shared<std::string>();
  auto* page = verb->add_option("--html", *html,
                                "Write leaderboard.html here (default: the run's own folder; of several runs ./leaderboard)")
                   ->type_name("[DIR]")
                   ->expected(0, 1);
  const auto page_samples = std::make_shared<std::int64_t>(0);
  verb->add_option("--page-samples", *page_samples, "Put so many samples of each kind of probe into the page, of every cell")
      ->check(CLI::Range(1, 1000));
  verb->callback([runs, metric, samples, folders, html, page, page_samples] {
    const Results results = read_results(*runs);
    const ReportView view{*metric, false, *samples == "full", *page_samples};
    if (runs->size() == 1) write_reports(results, runs->front(), view);
    if (page->count() > 0) {
      const fs::path folder = page_folder(*html, *runs);
      write_report(report_format("html"), results, folder, view);
      std::printf("%s\n\n", (folder / "leaderboard.html").c_str());
    }
    for (const auto& format : report_formats()) {
      const auto given = folders->find(format.name);
      if (given == folders->end() || given->second.empty()) continue;
      const std::int64_t written = write_report(format, results, given->second, view);
      std::printf("%lld %s files in %s\n\n", static_cast<long long>(written), format.name.c_str(), given->second.c_str());
    }
    std::fputs(printed_report(results, {*metric, ::isatty(STDOUT_FILENO) == 1}).c_str(), stdout);
  });
}

}  // namespace holdfast::cli
