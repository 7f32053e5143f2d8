// The formats that results are written in, each behind one interface (report/formats/).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "report/results.h"

namespace holdfast {

/// What the caller asks of a format that shows a part only.
struct ReportView {
  std::string metric;             // the harm metric to show; empty: each model's first (harm_metrics)
  bool colour = false;            // whether the reader understands ANSI colours
  bool full_samples = false;      // whether prompts and replies themselves are shown, where samples/ has them
  std::int64_t page_samples = 0;  // samples of each kind of probe that stand in the page, of every cell
};

/// Takes one file of a report: its path below the report's folder (empty for what is printed) and its text.
using ReportSink = std::function<void(const fs::path& name, const std::string& text)>;

class Reporter {
 public:
  virtual ~Reporter();
  /// Gives each of the format's files once. The same results and view give the same bytes. Throws Error for a metric that a
  /// model does not have.
  virtual void write(const Results& results, const ReportView& view, const ReportSink& sink) const = 0;
};

enum class ReportPlace {
  kResults,   // beside cells.jsonl, by every `holdfast run` and `holdfast leaderboard`
  kTerminal,  // printed by both
  kFolder,    // where `holdfast leaderboard --<name> DIR` says
};

struct ReportFormat {
  std::string name;
  ReportPlace place;
  std::string files;  // what they are called; empty for what is printed
  std::string about;  // what stands in them, for --help and docs/results.md
  std::unique_ptr<Reporter> (*make)();
};

/// All formats: one table in report/formats.cpp.
const std::vector<ReportFormat>& report_formats();

/// Writes the formats that have their place beside cells.jsonl into a folder: of one run its own.
void write_reports(const Results& results, const fs::path& folder, const ReportView& view = {});

/// Writes one format below a folder, which is made. Returns how many files there are. Throws Error when it cannot be written.
std::int64_t write_report(const ReportFormat& format, const Results& results, const fs::path& folder,
                          const ReportView& view = {});

/// The format of that name.
const ReportFormat& report_format(const std::string& name);

/// What is printed.
std::string printed_report(const Results& results, const ReportView& view);

}  // namespace holdfast
