// Ctrl-C, SIGTERM and SIGUSR1 (a batch system, ahead of a time limit), as a question that the run asks itself.
#pragma once

#include <signal.h>

namespace holdfast {

/// While it lives, the first SIGINT, SIGTERM or SIGUSR1 is only noted; a second one ends the program at once. Writing to a dead
/// worker is no signal either.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  static bool requested();

 private:
  struct sigaction interrupt_, terminate_, warning_, pipe_;
};

}  // namespace holdfast
