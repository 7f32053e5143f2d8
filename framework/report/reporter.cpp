#include "report/reporter.h"

#include <holdfast/error.h>

#include <algorithm>

namespace holdfast {

Reporter::~Reporter() = default;

void write_reports(const Results& results, const fs::path& folder, const ReportView& view) {
  for (const auto& format : report_formats()) {
    if (format.place == ReportPlace::kResults) write_report(format, results, folder, view);
  }
}

const ReportFormat& report_format(const std::string& name) {
  const auto& all = report_formats();
  return *std::find_if(all.begin(), all.end(), [&](const ReportFormat& format) { return format.name == name; });
}

std::int64_t write_report(const ReportFormat& format, const Results& results, const fs::path& folder, const ReportView& view) {
  std::int64_t written = 0;
  format.make()->write(results, view, [&](const fs::path& name, const std::string& text) {
    const fs::path path = folder / name;
    std::error_code failure;
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), failure);
    if (failure) throw Error("cannot make the folder " + path.parent_path().string() + ": " + failure.message());
    write_file(path, text);
    ++written;
  });
  return written;
}

std::string printed_report(const Results& results, const ReportView& view) {
  std::string printed;
  for (const auto& format : report_formats()) {
    if (format.place != ReportPlace::kTerminal) continue;
    format.make()->write(results, view, [&](const fs::path&, const std::string& text) { printed += text; });
  }
  return printed;
}

}  // namespace holdfast
