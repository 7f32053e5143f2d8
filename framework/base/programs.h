// Other programs: run to their end, or started and left to themselves.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ProgramEnd {
  int status = 0;  // its exit status; 128 and the signal's number for one that was killed; 127 for one that is not there
  std::string out, err;
};

/// Runs it with `input` on its standard input. The first word is looked for in PATH. Throws Error when no process can be made.
ProgramEnd run_program(const std::vector<std::string>& words, const std::string& input = "");

/// Starts it in a session of its own, so that it outlives this process and no key pressed here reaches it; what it prints is
/// added to `log`. Throws Error when it is not there.
pid_t start_program(const std::vector<std::string>& words, const fs::path& log);

}  // namespace holdfast
