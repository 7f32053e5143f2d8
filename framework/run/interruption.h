// Ctrl-C and SIGTERM, as a question that the run asks itself.
#pragma once

#include <signal.h>

namespace holdfast {

/// While it lives, the first SIGINT or SIGTERM is only noted; a second one ends the program at once. Writing to a dead worker
/// is no signal either.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  static bool requested();

 private:
  struct sigaction interrupt_, terminate_, pipe_;
};

}  // namespace holdfast
