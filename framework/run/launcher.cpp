#include "run/launcher.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/programs.h"
#include "base/suggest.h"
#include "queue/directory_queue.h"
#include "run/pull.h"
#include "run/slurm.h"

namespace holdfast {
namespace {

// For a shell.
std::string quoted(const std::string& word) {
  if (!word.empty() &&
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%") == std::string::npos) {
    return word;
  }
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string quoted(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : " ") + quoted(word);
  return line;
}

fs::path log_folder(const LaunchOptions& options) {
  const fs::path folder = options.store / kQueue / kQueueLogs;
  fs::create_directories(folder);
  return folder;
}

// Whole ones, where a third of an hour may be written as 0.3333 or 0.3334.
std::int64_t minutes(const ClusterSpec& cluster) {
  return std::max<std::int64_t>(1, std::llround(std::ceil(60 * cluster.hours - 0.05)));
}

// What a program said last, on one line.
std::string last_words(const ProgramEnd& end) {
  std::string text = end.err.empty() ? end.out : end.err;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "status " + std::to_string(end.status) : text;
}

// Processes of this machine, which outlive the run.
class LocalLauncher final : public Launcher {
 public:
  explicit LocalLauncher(const LaunchOptions& options) : options_(options) {}

  void start(const WorkerClass& workers) override {
    for (std::int64_t i = 0; i < workers.count; ++i) {
      const fs::path log = log_folder(options_) / "local.log";
      children_.push_back(start_program(worker_command(options_, workers.device, 0), log));
    }
  }
  std::optional<std::int64_t> started() override {
    std::erase_if(children_, [](pid_t child) { return ::waitpid(child, nullptr, WNOHANG) != 0; });
    return static_cast<std::int64_t>(children_.size());
  }
  void end() override {}  // they see themselves that the run is over

 private:
  LaunchOptions options_;
  std::vector<pid_t> children_;
};

class SlurmLauncher final : public Launcher {
 public:
  explicit SlurmLauncher(const LaunchOptions& options) : options_(options) {}

  // Arrays are capped, and users have a limit of jobs.
  void start(const WorkerClass& workers) override {
    const std::int64_t most = slurm_max_array_size();
    for (std::int64_t left = workers.count; left > 0; left -= most) {
      log_folder(options_);
      slurm_submit(slurm_script(options_, {workers.device, std::min(left, most)}));
    }
  }
  // Its other programs try for long where there is no controller, while the run stands still.
  std::optional<std::int64_t> started() override {
    const std::string silence = slurm_silence();
    if (silence.empty()) {
      answered_ = true;
      told_ = false;
      return slurm_tasks(job_name());
    }
    if (!answered_) throw Error(silence);
    if (!told_) log_warning(silence + "; workers that end are not replaced meanwhile");
    told_ = true;
    return std::nullopt;
  }
  void end() override { slurm_cancel_pending(job_name()); }

 private:
  std::string job_name() const { return slurm_job_name(options_.name, options_.store); }

  LaunchOptions options_;
  bool answered_ = false;  // ever
  bool told_ = false;      // that it does not
};

class CommandLauncher final : public Launcher {
 public:
  explicit CommandLauncher(const LaunchOptions& options) : options_(options) { filled_template(options_, {}); }

  void start(const WorkerClass& workers) override {
    const bool together = options_.launcher.find("{n}") != std::string::npos;
    for (std::int64_t i = 0; i < (together ? 1 : workers.count); ++i) {
      const std::string line = filled_template(options_, workers);
      const ProgramEnd end = run_program({"/bin/sh", "-c", line});
      if (end.status != 0) throw Error("the launcher's command failed: " + line + ": " + last_words(end));
    }
  }
  std::optional<std::int64_t> started() override { return std::nullopt; }
  void end() override {}

 private:
  LaunchOptions options_;
};

}  // namespace

std::int64_t accelerators(const std::string& device) {
  if (device == "cpu" || device == "auto") return 0;
  const auto colon = device.find(':');
  const auto dash = colon == std::string::npos ? colon : device.find('-', colon);
  if (dash == std::string::npos) return 1;
  return std::stoll(device.substr(dash + 1)) - std::stoll(device.substr(colon + 1)) + 1;
}

std::vector<std::string> worker_command(const LaunchOptions& options, const std::string& device, double until) {
  const std::string program = options.cluster.program.empty() ? options.program.string() : options.cluster.program;
  std::vector<std::string> words = {program,
                                    "worker",
                                    "--launched",
                                    "--store",
                                    options.store.string(),
                                    "--device",
                                    device,
                                    "--lost-after",
                                    Json(options.lost_after).dump()};
  if (options.threads > 0) words.insert(words.end(), {"--threads", std::to_string(options.threads)});
  if (options.cluster.memory_gib > 0) words.insert(words.end(), {"--memory", Json(options.cluster.memory_gib).dump()});
  if (until > 0) {
    words.insert(words.end(),
                 {"--until", "+" + std::to_string(std::llround(until)), "--grace", Json(options.cluster.warning).dump()});
  }
  return words;
}

std::string filled_template(const LaunchOptions& options, const WorkerClass& workers) {
  const ClusterSpec& cluster = options.cluster;
  const std::map<std::string, std::string> known = {
      {"n", std::to_string(workers.count)},
      {"gpus", std::to_string(accelerators(workers.device))},
      {"memory", Json(std::ceil(cluster.memory_gib)).dump()},
      {"time", std::to_string(minutes(cluster))},
      {"command", quoted(worker_command(options, workers.device, 3600 * cluster.hours))}};
  std::string line;
  bool has_command = false;
  const std::string& given = options.launcher;
  for (std::size_t at = 0; at < given.size(); ++at) {
    const auto close = given[at] == '{' ? given.find('}', at) : std::string::npos;
    const bool shell_variable = at > 0 && given[at - 1] == '$';
    if (close == std::string::npos || shell_variable) {
      line.push_back(given[at]);
      continue;
    }
    const std::string word = given.substr(at + 1, close - at - 1);
    const auto value = known.find(word);
    if (value == known.end()) {
      throw Error("the launcher's template has {" + word + "}, expected {n}, {gpus}, {memory}, {time} or {command}");
    }
    has_command = has_command || word == "command";
    line += value->second;
    at = close;
  }
  if (!has_command) {
    throw Error("the launcher \"" + given +
                "\" is none of local, slurm or a template with {command}, such as "
                "'sbatch -n1 --wrap {command}'." +
                suggestion(given, {"local", "slurm"}));
  }
  return line;
}

std::string slurm_script(const LaunchOptions& options, const WorkerClass& workers) {
  const ClusterSpec& cluster = options.cluster;
  std::string text = "#!/bin/bash\n";
  const auto option = [&](const std::string& word) { text += "#SBATCH " + word + "\n"; };
  option("--job-name=" + slurm_job_name(options.name, options.store));
  option("--array=0-" + std::to_string(workers.count - 1));
  option("--output=" + quoted((log_folder(options) / "slurm-%A_%a.log").string()));
  option("--open-mode=append");
  option("--requeue");
  option("--ntasks=1");
  option("--time=" + std::to_string(minutes(cluster)));
  option("--signal=B:USR1@" + std::to_string(std::llround(cluster.warning)));
  if (const auto cpus = cluster.cpus > 0 ? cluster.cpus : options.threads; cpus > 0) {
    option("--cpus-per-task=" + std::to_string(cpus));
  }
  if (cluster.memory_gib > 0) option("--mem=" + std::to_string(std::llround(1024 * cluster.memory_gib)) + "M");
  if (const auto gpus = accelerators(workers.device); gpus > 0) {
    option("--gres=gpu:" + (cluster.gpu.empty() ? "" : cluster.gpu + ":") + std::to_string(gpus));
  }
  if (!cluster.partition.empty()) option("--partition=" + cluster.partition);
  if (!cluster.account.empty()) option("--account=" + cluster.account);
  for (const auto& more : cluster.options) option(more);
  for (const auto& line : cluster.setup) text += line + "\n";
  text +=
      "warned=\nended=\nworker=\n"
      "warn() { warned=1; [ -z \"$worker\" ] || kill -USR1 \"$worker\"; }\n"
      "trap warn USR1\n"
      "# From whoever cancels it, or needs its place: Slurm itself knows whether it is queued again then.\n"
      "trap 'ended=1; warn' TERM\n" +
      quoted(worker_command(options, workers.device, 3600 * cluster.hours)) +
      " &\n"
      "worker=$!\n"
      "[ -z \"$warned\" ] || kill -USR1 \"$worker\"\n"
      "# A signal ends a wait early: only what is gone has a status.\n"
      "while wait \"$worker\"; status=$?; kill -0 \"$worker\" 2>/dev/null; do :; done\n"
      "if [ \"$status\" = " +
      std::to_string(kWorkLeft) +
      " ] && [ -z \"$ended\" ]; then\n"
      "  scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"\n"
      "fi\n"
      "exit \"$status\"\n";
  return text;
}

std::unique_ptr<Launcher> make_launcher(const LaunchOptions& options) {
  if (options.launcher == "local") return std::make_unique<LocalLauncher>(options);
  if (options.launcher == "slurm") return std::make_unique<SlurmLauncher>(options);
  return std::make_unique<CommandLauncher>(options);
}

}  // namespace holdfast
