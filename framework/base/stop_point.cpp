#include "base/stop_point.h"

#include <signal.h>

namespace holdfast {
namespace {

volatile sig_atomic_t requested = 0;

void note(int) { requested = 1; }

}  // namespace

void listen_to_stop_signal(int signal) {
  requested = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

bool stop_requested() { return requested != 0; }

void stop_point() {
  if (stop_requested()) throw Stopped();
}

}  // namespace holdfast
