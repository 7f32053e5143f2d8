// A file of lines that several processes add to.
#pragma once

#include <string>

#include "base/file.h"

namespace holdfast {

/// Open for appending, made when it is missing, and locked against other holders for as long as this lives.
class LockedFile {
 public:
  /// `what` names it in errors ("the recording"). Throws Error with the system's reason.
  LockedFile(fs::path path, std::string what);
  ~LockedFile();
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  /// Adds the line, which has no end of its own. One that a writer who died left without its end is ended first. Throws Error
  /// with the system's reason.
  void append_line(const std::string& line);

 private:
  bool ends_torn() const;
  [[noreturn]] void fail(const std::string& what) const;

  fs::path path_;
  std::string what_;
  int descriptor_ = -1;
};

}  // namespace holdfast
