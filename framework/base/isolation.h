// What a process that runs other people's code may use of the machine, and what is left of it when it is gone.
#pragma once

#include <string>

#include "base/file.h"

namespace holdfast {

struct ProcessLimits {
  double memory_gib = 0;  // of private writable memory: torch maps far more address space than it uses; 0: no limit
  double file_gib = 0;    // of any file that it writes; 0: no limit
  bool network = true;    // else it has none, not even the loopback interface, where the machine allows that
};

/// Of this process and all that it will start. To be called before it has threads. Returns why it has the network nevertheless;
/// else an empty string.
std::string limit_process(const ProcessLimits& limits);

/// Whether a process of this machine can do without its network; else why not.
std::string why_no_network_limit();

/// Writes into one of the kernel's files, by one call, as those want it. Returns why that failed; else an empty text.
std::string put_into(const fs::path& kernel_file, const std::string& text);

/// The environment variable that marks what a process was started for: all that comes from it inherits the mark.
inline constexpr const char* kProcessMark = "HOLDFAST_PROCESS_MARK";
/// From now on processes whose parent ends become this one's children, so that end_marked finds them.
void adopt_orphans();
/// Ends every process with that mark which this one has adopted, and whatever those have started.
void end_marked(const std::string& mark);

}  // namespace holdfast
