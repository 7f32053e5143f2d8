#include "run/interruption.h"

namespace holdfast {
namespace {

volatile sig_atomic_t noted = 0;

void note(int) { noted = 1; }

}  // namespace

Interruption::Interruption() {
  noted = 0;
  struct sigaction once {};
  once.sa_handler = note;
  once.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &once, &interrupt_);
  ::sigaction(SIGTERM, &once, &terminate_);
  struct sigaction always {};  // a second warning is no reason to hurry
  always.sa_handler = note;
  ::sigaction(SIGUSR1, &always, &warning_);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_);
}

Interruption::~Interruption() {
  ::sigaction(SIGINT, &interrupt_, nullptr);
  ::sigaction(SIGTERM, &terminate_, nullptr);
  ::sigaction(SIGUSR1, &warning_, nullptr);
  ::sigaction(SIGPIPE, &pipe_, nullptr);
}

bool Interruption::requested() { return noted != 0; }

}  // namespace holdfast
