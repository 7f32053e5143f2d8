// The formats that a notice is written in, one file each.
#pragma once

#include <string>
#include <vector>

#include "report/notice/notice.h"
#include "report/reporter.h"

namespace holdfast {

struct NoticeFormat {
  std::string name;   // what --format calls it
  std::string files;  // what they are called, for --help and docs/notice.md
  std::string about;
  /// Gives each of the format's files once, none where the cell has nothing that the format could say. The same results give
  /// the same bytes.
  void (*write)(const Notice& notice, const ReportSink& sink);
};

/// All formats: one table in notice_formats.cpp.
const std::vector<NoticeFormat>& notice_formats();

}  // namespace holdfast
