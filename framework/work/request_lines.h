// What a worker is told, line by line, also while it works.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/json.h"

namespace holdfast {

class RequestLines {
 public:
  /// Of a descriptor that stays open.
  explicit RequestLines(int descriptor) : descriptor_(descriptor) {}

  /// Waits for the next line; nothing once they have ended.
  std::optional<Json> next();
  /// The next line where it has come whole already.
  std::optional<Json> arrived();
  /// Gives back one that is not for now: next() has it before what comes later.
  void put_back(Json line) { kept_.push_back(std::move(line)); }

 private:
  bool take_some();
  std::optional<Json> whole_line();

  int descriptor_;
  std::string buffer_;
  std::deque<Json> kept_;
  bool ended_ = false;
};

}  // namespace holdfast
