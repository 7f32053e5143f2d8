// Errors that people read.
#pragma once

#include <holdfast/visibility.h>

#include <stdexcept>
#include <string>

namespace HOLDFAST_PUBLIC holdfast {

/// Something a user can mend. what() is one or more sentences that say what was found, what was expected and what to do.
/// The command line prints it and exits with 2; inside a matrix it becomes the message of the cells that needed the stage.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}
  ~Error() override;
};

/// What HOLDFAST_CHECK calls.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace holdfast

/// For bugs only: never reachable by what a user types or by a file that a user brings.
#define HOLDFAST_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::holdfast::check_failed(#condition, __FILE__, __LINE__))
