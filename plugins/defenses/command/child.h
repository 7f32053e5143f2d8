// A child process that is talked to in lines.
#pragma once

#include <holdfast/params.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace command {

class Child {
 public:
  /// Starts the program in the command's folder, as the leader of a process group; it dies with this process. Throws
  /// holdfast::Error with the system's reason.
  explicit Child(const holdfast::Command& command);
  /// Kills what is left of its group.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Writes the input and closes the child's standard input behind it; meanwhile hands each line that it prints to `take`,
  /// until it has ended. Returns its wait status, or nothing when it printed no line, and did not end, for `silence` seconds.
  std::optional<int> converse(const std::string& input, double silence, const std::function<void(const std::string&)>& take);

  /// The last lines that it printed to standard error, in one; empty where there are none.
  std::string last_words();

 private:
  using Clock = std::chrono::steady_clock;

  void write_some(const std::string& input, std::size_t& written);
  bool read_lines(const std::function<void(const std::string&)>& take);
  void read_errors();
  std::optional<int> end_before(Clock::time_point deadline);
  bool has_ended(int& status);

  pid_t pid_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;  // our ends
  std::string line_;                            // what was read of the next one
  std::string said_;                            // the end of its standard error
};

}  // namespace command
