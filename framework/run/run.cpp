#include "run/run.h"

#include <holdfast/log.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "base/engine_program.h"
#include "learn/checkpoint.h"
#include "model/gguf_parts.h"
#include "model/safetensors.h"
#include "plan/estimate.h"
#include "plan/stage_key.h"
#include "queue/directory_queue.h"
#include "run/crew.h"
#include "run/executor.h"
#include "run/interruption.h"
#include "run/local_workers.h"
#include "run/queued_workers.h"
#include "run/result_files.h"
#include "run/watch.h"
#include "run/worker_setup.h"
#include "work/versions.h"

namespace holdfast {
namespace {

// Opens what is cheap to open, so that a damaged checkpoint is one sentence at the start and not a matrix of failed cells.
void check_checkpoint(const std::string& source) {
  if (source == "organism") return;
  for (const auto& file : checkpoint_files(source)) {
    if (file.extension() == ".safetensors") read_safetensors(file);
  }
  if (!fs::is_directory(source)) read_gguf(source);
}

// The run reads verdicts itself, so it looks for damage itself.
void drop_damaged_verdicts(const Plan& plan, StoreIndex& index) {
  const auto resolved = resolve(plan, index);
  for (std::size_t id = 0; id < resolved.size(); ++id) {
    if (plan.nodes[id].kind != StageKind::kJudge || resolved[id].artifact == nullptr) continue;
    const std::string& key = resolved[id].key;
    if (index.find(StageKind::kJudge, key) == nullptr) continue;  // it was dropped as another node's
    try {
      index.store().check(StageKind::kJudge, key);
    } catch (const CorruptArtifact& corrupt) {
      log_warning("a stored artifact is damaged and will be computed again: " + std::string(corrupt.what()));
      index.discard(StageKind::kJudge, key);
    }
  }
}

// As /proc/cpuinfo names it; empty where it does not.
std::string processor() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "";
}

Json machine() {
  utsname system{};
  ::uname(&system);
  return {{"system", std::string(system.sysname) + " " + system.release},
          {"architecture", system.machine},
          {"processor", processor()},
          {"cores", std::thread::hardware_concurrency()}};
}

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::ostringstream text;
  text << std::put_time(&parts, "%Y-%m-%dT%H:%M:%SZ");
  return text.str();
}

std::int64_t count_done(const std::vector<NodeOutcome>& outcomes) {
  std::int64_t done = 0;
  for (const auto& outcome : outcomes) done += outcome.state == NodeState::kDone ? 1 : 0;
  return done;
}

// By what the stages took when they were made, in this run or an earlier one; those that did not end cost nothing here.
MatrixCost measured_cost(const Plan& plan, const std::vector<NodeOutcome>& outcomes, const StoreIndex& index) {
  std::vector<double> seconds(outcomes.size());
  std::vector<std::string> keys;
  for (std::size_t id = 0; id < outcomes.size(); ++id) {
    keys.push_back(outcomes[id].key);
    const StoredArtifact* made = index.find(plan.nodes[id].kind, outcomes[id].key);
    if (outcomes[id].state == NodeState::kDone && made != nullptr) seconds[id] = made->seconds;
  }
  return matrix_cost(plan, seconds, keys);
}

std::unique_ptr<Workers> own_processes(const Prepared& prepared) {
  const Scenario& scenario = prepared.scenario;
  WorkerSetup setup = worker_setup(scenario, prepared.program, prepared.store->root(), scenario.workers);
  return std::make_unique<LocalWorkers>(std::move(setup), scenario.workers, scenario.stage_timeout);
}

// One kind for each device that models need, and one for what needs none.
std::vector<WorkerClass> worker_classes(const Scenario& scenario, const ClusterSpec& cluster) {
  std::vector<WorkerClass> classes;
  for (const auto& device : devices(scenario)) {
    if (accelerators(device) > 0) classes.push_back({device, scenario.workers});
  }
  const std::int64_t plain = classes.empty() ? scenario.workers : cluster.cpu_workers;
  if (plain > 0) classes.push_back({"cpu", plain});
  return classes;
}

Crew make_crew(const Prepared& prepared, const RunOptions& options) {
  const Scenario& scenario = prepared.scenario;
  const ClusterSpec cluster =
      options.cluster.empty() ? scenario.cluster.value_or(ClusterSpec()) : load_cluster(options.cluster);
  LaunchOptions launch{options.launcher,   scenario.name, prepared.store->root(), front_program(), scenario.threads,
                       options.lost_after, cluster};
  return {make_launcher(launch), worker_classes(scenario, cluster), prepared.store->root() / kQueue / kQueueLogs};
}

std::unique_ptr<Workers> queued_workers(const Prepared& prepared, const RunOptions& options, Crew& crew) {
  const Scenario& scenario = prepared.scenario;
  QueuedWorkers::Settings settings;
  settings.limits = {scenario.threads,        scenario.stage_timeout, scenario.memory_limit_gib,
                     scenario.file_limit_gib, scenario.network,       devices(scenario)};
  settings.lost_after = options.lost_after;
  settings.about = {{"scenario", scenario.name},
                    {"results", fs::absolute(options.results / scenario.name).lexically_normal().string()}};
  if (options.launcher != "local") settings.missing_for = kPatience;
  settings.expected = crew.wanted();
  settings.on_count = [&crew](std::size_t there, std::size_t waiting) { crew.note(there, waiting); };
  return std::make_unique<QueuedWorkers>(std::make_unique<DirectoryQueue>(prepared.store->root() / kQueue), *prepared.store,
                                         std::move(settings));
}

// In bytes.
std::uint64_t disk_budget(const Scenario& scenario) {
  return static_cast<std::uint64_t>(std::ceil(scenario.disk_budget_gib * static_cast<double>(1ULL << 30)));
}

// The metric of each utility task that names one, as exports call for it.
std::map<std::string, std::string> task_metrics(const Scenario& scenario) {
  std::map<std::string, std::string> metrics;
  for (const auto& model : scenario.models) {
    for (const auto* rows : {&model.probe_rows.asked, &model.probe_rows.measured}) {
      for (const auto& row : *rows) {
        if (row.tags.contains("metric")) metrics[row.tags.at("task")] = row.tags.at("metric");
      }
    }
  }
  return metrics;
}

RunFacts run_facts(const Prepared& prepared) {
  RunFacts facts;
  facts.tasks = task_metrics(prepared.scenario);
  facts.definitions = prepared.plan.definitions;
  facts.scenario = prepared.scenario.name;
  facts.board = {prepared.scenario.utility_bound, prepared.scenario.reference};
  facts.prices = prepared.scenario.prices;
  return facts;
}

Json about_run(const Prepared& prepared, const RunOutcome& outcome, const std::string& started, double seconds) {
  return {{"scenario", to_json(prepared.scenario)},
          {"libraries", libraries(prepared.scenario)},
          {"versions", versions()},
          {"machine", machine()},
          {"started", started},
          {"seconds", seconds},
          {"cells", outcome.cells},
          {"failed", outcome.failed},
          {"stages_run", outcome.stages_run},
          {"stages_cached", outcome.stages_cached},
          {"matrix_seconds", {{"distinct", outcome.cost.distinct}, {"alone", outcome.cost.alone}}},
          {"interrupted", outcome.interrupted}};
}

}  // namespace

Json libraries(const Scenario& scenario) {
  Json found = Json::object();
  const auto add = [&](const PluginUse& use) {
    if (!use.library.empty()) found[use.name] = {{"location", use.library.string()}, {"digest", use.library_digest}};
  };
  for (const auto& attack : scenario.attacks) {
    if (attack.plugin) add(*attack.plugin);
  }
  for (const auto& defense : scenario.defenses) std::for_each(defense.stack.begin(), defense.stack.end(), add);
  for (const auto& moderator : scenario.moderators) add(moderator.plugin);
  std::for_each(scenario.judges.begin(), scenario.judges.end(), add);
  return found;
}

RunOutcome run_scenario(const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::string started = utc_time();
  const std::string text = read_file(options.scenario);
  Prepared prepared = prepare(options, true);
  for (const auto& note : prepared.notes) log_info(note);
  const Plan& plan = prepared.plan;
  for (const auto& sentence : faults(prepared.scenario)) log_warning(sentence);
  drop_damaged_verdicts(plan, prepared.index);

  const Interruption interruption;
  std::optional<Crew> crew;
  if (!options.launcher.empty()) crew = make_crew(prepared, options);
  const auto workers = crew ? queued_workers(prepared, options, *crew) : own_processes(prepared);
  Executor executor(plan, prepared.index, prepared.seconds, disk_budget(prepared.scenario), *workers, prepared.scenario.gang,
                    estimate_gib(plan, prepared.scenario));
  Rows rows(plan, executor.outcomes(), *prepared.store);
  RunOutcome outcome;
  outcome.folder = options.results / prepared.scenario.name;
  ResultFiles files(outcome.folder, plan, rows, options.full_samples);

  bool running = false;
  executor.start([&](std::size_t node) {
    if (running) files.append(node);
  });
  if (executor.unsettled() > 0) {
    for (const auto& model : prepared.scenario.models) {
      if (!model.provider) check_checkpoint(model.source);
    }
    for (const auto& judge : prepared.scenario.judges) {
      if (!judge.needs.model.empty()) check_checkpoint(judge.needs.model);
    }
    if (crew) crew->begin();
  }
  files.write_cells();
  running = true;
  RunState state{"begun", prepared.store->root()};
  state.total = plan.nodes.size();
  write_run_state(outcome.folder, state);
  outcome.interrupted = !executor.run([&](const ProgressState& now) {
    state = run_state(now, prepared.store->root());
    write_run_state(outcome.folder, state);
    if (crew) crew->done(now.done);
  });
  if (crew && !outcome.interrupted) crew->end();
  files.write_cells();

  outcome.cells = static_cast<std::int64_t>(plan.cells.size());
  outcome.failed = files.failed();
  outcome.stages_run = static_cast<std::int64_t>(executor.stages_run());
  outcome.stages_cached = std::max<std::int64_t>(0, count_done(executor.outcomes()) - executor.stages_made());
  outcome.cost = measured_cost(plan, executor.outcomes(), prepared.index);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_file(outcome.folder / kScenarioFile, text);
  files.write_stages();
  state.text = std::to_string(state.total - executor.unsettled()) + "/" + std::to_string(state.total) + " stages" +
               (outcome.interrupted ? ", interrupted" : "");
  state.over = true;
  write_run_state(outcome.folder, state);
  Json about = about_run(prepared, outcome, started, seconds);
  about["scenario_file"] = options.scenario.string();
  files.write_run(std::move(about), run_facts(prepared));
  return outcome;
}

}  // namespace holdfast
