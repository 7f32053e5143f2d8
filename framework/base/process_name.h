// Names of processes that hold on a file system which several machines share.
#pragma once

#include <string>

namespace holdfast {

/// Of this process: letters, digits and hyphens, no other process of any machine has or had it. Where one machine's containers
/// cannot see each other's processes, they count as machines.
std::string process_name();

/// Whether the process of that name is known to be gone: it was one of this machine, and is there no longer. Of other machines
/// nothing is known. False for what is no such name.
bool process_is_gone(const std::string& name);

}  // namespace holdfast
