// [cluster]: what a batch system is asked for, so that workers run there.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ClusterSpec {
  std::string partition, account;    // empty: the system's default
  std::string gpu;                   // type of accelerator, where there are several: "a100"
  double hours = 24;                 // of one worker; a worker whose time is over is queued again while there is work
  std::int64_t cpus = 0;             // of one worker; 0: the scenario's threads
  double memory_gib = 0;             // of one worker; 0: the system's default
  std::int64_t cpu_workers = 0;      // beside those with an accelerator, for stages that need none
  double warning = 120;              // seconds ahead of the limit at which a worker keeps what it has and gives it back
  std::vector<std::string> options;  // more options of sbatch
  std::vector<std::string> setup;    // lines of shell before the worker starts: modules, environments
  std::string program;               // holdfast on the nodes; empty: where it is here
};

/// A file with those keys at its top level. Throws Error that lists every mistake.
ClusterSpec load_cluster(const fs::path& path);

}  // namespace holdfast
