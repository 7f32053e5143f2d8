// A worker as the run sees it: a process, a pipe to it and a pipe from it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/isolation.h"
#include "base/json.h"
#include "base/memory_group.h"

namespace holdfast {

// Descriptors of the child.
inline constexpr int kWorkerRequests = 3;  // read: one setup line, then one request a line
inline constexpr int kWorkerAnswers = 4;   // write: one answer a line

struct WorkerSetup {
  fs::path program;     // this program
  fs::path store = {};  // empty: for questions about plugins
  std::int64_t threads = 1;
  ProcessLimits limits = {};
  bool own_output = true;                 // what it prints goes where this process's errors go; else it is read (output())
  std::size_t number = 0;                 // which of the run's workers, from 0
  std::int64_t workers = 1;               // that run beside it, itself included
  std::vector<std::string> devices = {};  // that its models will ask for
  double patience = 0;                    // of its store
};

class WorkerProcess {
 public:
  /// Starts the program with posix_spawn (never fork: torch's threads would not survive it).
  explicit WorkerProcess(const WorkerSetup& setup);
  /// Kills the process when it still runs, and whatever it has started, and waits for it.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// False when the process is gone.
  bool send(const Json& request);
  /// To poll for reading.
  int answers() const { return answers_; }
  /// The same of what it prints, for whoever reads that; -1 without, and once it has printed all.
  int output() const { return output_; }
  /// Takes what it has printed.
  std::string printed();
  /// Takes what has arrived; the first whole line when there is one. More may have come with it.
  std::optional<Json> receive();
  /// The next whole line of what was taken already.
  std::optional<Json> next_received();
  /// Whether the process closed its end: it died.
  bool ended() const { return ended_; }
  /// Waits for a process that ended, and says how: "was killed by signal 11 (Segmentation fault)", "ended with status 3". One
  /// that closed its end and lives on is stopped.
  std::string death();
  /// Whether that was by SIGKILL, for a reason that nobody here knows.
  bool was_killed() const { return was_killed_; }
  void kill();
  /// Asks it to stop at the next point where it can go on from later (base/stop_point.h).
  void ask_to_stop();

 private:
  std::unique_ptr<MemoryGroup> group_;  // of it and all that it starts; null: no limit
  pid_t pid_ = -1;
  std::string mark_;  // of all that comes from it
  int requests_ = -1;
  int answers_ = -1;
  int output_ = -1;
  bool ended_ = false;
  bool killing_ = false, was_killed_ = false;
  std::string buffer_;
};

}  // namespace holdfast
