// Memory that processes may have together: a control group of the system, of version 1 or 2.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/file.h"

namespace holdfast {

/// The folder of a group, and whether its files are those of version 2.
struct GroupPlace {
  fs::path folder;
  bool unified = false;
};

/// Where the group lies that limits the memory of a process, by what /proc/PID/cgroup and /proc/PID/mountinfo say of it: that
/// of memory's own hierarchy where there is one (version 1), else that of the one hierarchy of version 2. Nothing where neither
/// is mounted, or only a part that the process is not in.
std::optional<GroupPlace> memory_group_place(const std::string& memberships, const std::string& mounts);

/// A group below this process's own. Where the system grants none it has no effect.
class MemoryGroup {
 public:
  /// `gib`: of all its processes together, in memory and files of memory (/dev/shm), swapping included.
  explicit MemoryGroup(double gib);
  /// Ends whoever is still in it.
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  /// Puts a process into it, and with it whatever that will start.
  void take(pid_t process);
  /// Whether the system has ended one of its processes because of the limit.
  bool ended_one() const;

 private:
  void end_processes() const;

  std::optional<GroupPlace> place_;
};

/// Empty where a MemoryGroup has an effect; else why not.
std::string why_no_memory_group();

}  // namespace holdfast
