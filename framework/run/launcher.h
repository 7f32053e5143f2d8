// Who starts the workers of a queue: this machine, Slurm, or any other batch system through a line of shell.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenario/cluster.h"

namespace holdfast {

/// Workers of one kind.
struct WorkerClass {
  std::string device = "cpu";  // as a model of a scenario has it
  std::int64_t count = 1;
};

struct LaunchOptions {
  std::string launcher;  // "local", "slurm", or a template with {command}
  std::string name;      // of the scenario
  fs::path store;
  fs::path program;          // what workers are started as, where [cluster] names no other
  std::int64_t threads = 0;  // of one worker; 0: unknown
  double lost_after = 60;    // seconds without a beat after which a worker counts as lost
  ClusterSpec cluster;
};

class Launcher {
 public:
  virtual ~Launcher() = default;
  /// Starts that many. Throws Error with what the batch system said when it refuses.
  virtual void start(const WorkerClass& workers) = 0;
  /// How many of those that it started are still there or will be; nothing where that cannot be known.
  virtual std::optional<std::int64_t> started() = 0;
  /// The run is over: what has not begun need not begin.
  virtual void end() = 0;
};

/// Throws Error for a launcher that there is none of.
std::unique_ptr<Launcher> make_launcher(const LaunchOptions& options);

/// How many accelerators a device's name stands for: "cuda" 1, "cuda:0-3" 4, "cpu" 0.
std::int64_t accelerators(const std::string& device);

/// The words that start one worker. `until`: seconds after which it ends; 0: none.
std::vector<std::string> worker_command(const LaunchOptions& options, const std::string& device, double until);
/// The template's line for that many workers: {n}, {gpus}, {memory} (GiB), {time} (minutes) and {command} replaced. Throws
/// Error for another word in braces, and for a template without {command}.
std::string filled_template(const LaunchOptions& options, const WorkerClass& workers);
/// The script that sbatch gets for an array of that many.
std::string slurm_script(const LaunchOptions& options, const WorkerClass& workers);

}  // namespace holdfast
