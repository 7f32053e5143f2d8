// Stopping a long piece of work from outside, where it can be taken up again.
#pragma once

#include <exception>

namespace holdfast {

/// Work was left where it stood, because it was asked to stop. No fault of anything.
class Stopped final : public std::exception {
 public:
  const char* what() const noexcept override { return "it was asked to stop"; }
};

/// From now on that signal asks this process to stop; what was asked before is forgotten.
void listen_to_stop_signal(int signal);
bool stop_requested();
/// Throws Stopped once it was asked to. To be called where nothing is lost, or where what is lost is made anew quickly.
void stop_point();

}  // namespace holdfast
