// A program of the user's that answers lines with lines, started anew where it crashes.
#pragma once

#include <holdfast/params.h>

#include <functional>
#include <string>
#include <vector>

namespace command {

class Program {
 public:
  /// The settings "program", "timeout" and "restarts".
  explicit Program(holdfast::Params& params);

  /// Gives it `hello`, then the lines, and each answer, in order, to `take`; `take` throws holdfast::Error for one that is
  /// wrong. A program that crashes is started again with the lines that it has not answered. Returns how often it was. Throws
  /// holdfast::Error, with the program, the line, what was expected and its last words, when it crashes too often, is silent
  /// for too long, or does not give just one right answer a line.
  std::int64_t ask(const std::string& stage, const std::string& hello, const std::vector<std::string>& lines,
                   const std::string& expected, const std::function<void(std::size_t, const std::string&)>& take) const;

 private:
  holdfast::Command command_;
  double timeout_;
  std::int64_t restarts_;
};

}  // namespace command
