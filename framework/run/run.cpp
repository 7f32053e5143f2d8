#include "run/run.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <iomanip>
#include <sstream>
#include <thread>

#include "base/params_state.h"
#include "learn/checkpoint.h"
#include "model/gguf_parts.h"
#include "model/safetensors.h"
#include "plan/estimate.h"
#include "plan/plan.h"
#include "plan/stage_key.h"
#include "plugin/library.h"
#include "plugin/plugin_host.h"
#include "run/executor.h"
#include "run/interruption.h"
#include "run/progress.h"
#include "run/result_files.h"
#include "scenario/conversation_check.h"
#include "store/digest_memory.h"
#include "work/versions.h"

namespace holdfast {
namespace {

// What run and plan begin with.
struct Prepared {
  fs::path program;
  Scenario scenario;
  Store store;
  Plan plan;
  std::vector<double> seconds;
  std::vector<std::string> notes;
};

Plan planned(const Scenario& scenario, const Store& store) {
  DigestMemory memory(store.root());
  return make_plan(scenario, [&](const std::string& source) {
    const bool missing = source != "organism" && !fs::exists(source);  // a gated one: only a plan goes on without it
    return missing ? missing_digest(source) : memory.checkpoint(source);
  });
}

void refuse_missing(const Scenario& scenario) {
  std::string sentences;
  for (const auto& sentence : scenario.missing) sentences += (sentences.empty() ? "" : "\n") + sentence;
  if (!sentences.empty()) throw Error(sentences);
}

// All that plugins are asked before a run, they are asked here.
Scenario read_scenario(const RunOptions& options, const fs::path& program) {
  PluginHost plugins(program, plugin_folders(options.plugin_path));
  return load_scenario(options.scenario, plugins);
}

Prepared prepare(const RunOptions& options, bool to_run) {
  const fs::path program = options.program.empty() ? fs::read_symlink("/proc/self/exe") : options.program;
  Scenario scenario = read_scenario(options, program);
  if (to_run) refuse_missing(scenario);
  if (options.workers > 0) scenario.workers = options.workers;
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  if (scenario.threads == 0) scenario.threads = std::max<std::int64_t>(1, cores / scenario.workers);
  Store store(options.store.empty() ? options.results / ".store" : options.store);
  Plan plan = planned(scenario, store);
  std::vector<double> seconds = estimate_seconds(plan, scenario, store);
  std::vector<std::string> notes = check_conversations(scenario);
  return {program, std::move(scenario), std::move(store), std::move(plan), std::move(seconds), std::move(notes)};
}

// Opens what is cheap to open, so that a damaged checkpoint is one sentence at the start and not a matrix of failed cells.
void check_checkpoint(const std::string& source) {
  if (source == "organism") return;
  for (const auto& file : checkpoint_files(source)) {
    if (file.extension() == ".safetensors") read_safetensors(file);
  }
  if (!fs::is_directory(source)) read_gguf(source);
}

// The run reads verdicts itself, so it looks for damage itself.
void drop_damaged_verdicts(const Plan& plan, Store& store) {
  const auto resolved = resolve(plan, store);
  for (std::size_t id = 0; id < resolved.size(); ++id) {
    if (plan.nodes[id].kind != StageKind::kJudge || !resolved[id].manifest) continue;
    try {
      for (const auto& file : resolved[id].manifest->files) store.file(StageKind::kJudge, resolved[id].key, file.name);
    } catch (const CorruptArtifact& corrupt) {
      log_warning("a stored artifact is damaged and will be computed again: " + std::string(corrupt.what()));
      store.discard(StageKind::kJudge, resolved[id].key);
    }
  }
}

Json machine() {
  utsname system{};
  ::uname(&system);
  return {{"system", std::string(system.sysname) + " " + system.release},
          {"architecture", system.machine},
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

ExecutorOptions executor_options(const Prepared& prepared) {
  const Scenario& scenario = prepared.scenario;
  ExecutorOptions made;
  made.setup.program = prepared.program;
  made.setup.store = prepared.store.root();
  made.setup.threads = scenario.threads;
  made.setup.memory_limit_gib = scenario.memory_limit_gib;
  made.workers = scenario.workers;
  made.stage_timeout = scenario.stage_timeout;
  made.disk_budget = static_cast<std::uint64_t>(std::ceil(scenario.disk_budget_gib * static_cast<double>(1ULL << 30)));
  return made;
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

Json about_run(const Prepared& prepared, const RunOutcome& outcome, const std::string& started, double seconds) {
  return {{"scenario", to_json(prepared.scenario)},
          {"versions", versions()},
          {"machine", machine()},
          {"started", started},
          {"seconds", seconds},
          {"cells", outcome.cells},
          {"failed", outcome.failed},
          {"stages_run", outcome.stages_run},
          {"stages_cached", outcome.stages_cached},
          {"interrupted", outcome.interrupted}};
}

// Stages that cannot run, and those that need one.
std::vector<bool> failing(const Plan& plan) {
  std::vector<bool> fails(plan.nodes.size());
  for (std::size_t id = 0; id < fails.size(); ++id) {
    const PlanNode& node = plan.nodes[id];
    fails[id] = !node.fault.empty() ||
                std::any_of(node.inputs.begin(), node.inputs.end(), [&](const auto& input) { return fails[input.node]; });
  }
  return fails;
}

// Those that are not stored, and those whose dropped files they read.
std::vector<bool> stages_to_run(const Plan& plan, const std::vector<Resolved>& resolved) {
  std::vector<bool> to_run(resolved.size());
  std::vector<bool> read(resolved.size());
  for (std::size_t id = resolved.size(); id-- > 0;) {  // readers come after what they read
    const auto& manifest = resolved[id].manifest;
    to_run[id] = !manifest || (manifest->dropped && read[id]);
    if (!to_run[id]) continue;
    for (const std::size_t each : plan.read_by(id)) read[each] = true;
  }
  return to_run;
}

std::string padded(const std::string& text, std::size_t width) {
  return text.size() >= width ? text : std::string(width - text.size(), ' ') + text;
}

}  // namespace

RunOutcome run_scenario(const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::string started = utc_time();
  Prepared prepared = prepare(options, true);
  for (const auto& note : prepared.notes) log_info(note);
  const Plan& plan = prepared.plan;
  for (const auto& sentence : faults(prepared.scenario)) log_warning(sentence);
  drop_damaged_verdicts(plan, prepared.store);

  const Interruption interruption;
  Executor executor(plan, prepared.scenario, prepared.store, prepared.seconds, executor_options(prepared));
  Rows rows(plan, executor.outcomes(), prepared.store);
  RunOutcome outcome;
  outcome.folder = options.results / prepared.scenario.name;
  ResultFiles files(outcome.folder, plan, rows, options.full_samples);

  bool running = false;
  executor.start([&](std::size_t node) {
    if (running) files.append(node);
  });
  if (executor.unsettled() > 0) {
    for (const auto& model : prepared.scenario.models) check_checkpoint(model.source);
    for (const auto& judge : prepared.scenario.judges) {
      if (!judge.needs.model.empty()) check_checkpoint(judge.needs.model);
    }
  }
  files.write_cells();
  running = true;
  outcome.interrupted = !executor.run();
  files.write_cells();

  outcome.cells = static_cast<std::int64_t>(plan.cells.size());
  outcome.failed = files.failed();
  outcome.stages_run = static_cast<std::int64_t>(executor.stages_run());
  outcome.stages_cached = std::max<std::int64_t>(0, count_done(executor.outcomes()) - executor.stages_made());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  files.write_run(about_run(prepared, outcome, started, seconds), task_metrics(prepared.scenario));
  return outcome;
}

PlanSummary plan_scenario(const RunOptions& options) {
  Prepared prepared = prepare(options, false);
  PlanSummary summary;
  summary.configurations = configurations(prepared.scenario);
  summary.missing = prepared.scenario.missing;
  summary.notes = prepared.notes;
  summary.faults = faults(prepared.scenario);
  summary.cells = static_cast<std::int64_t>(prepared.plan.cells.size());
  for (const auto& info : stage_kinds()) {
    for (auto* counts : {&summary.stages, &summary.cached, &summary.to_run}) (*counts)[info.word] = 0;
  }
  const std::vector<bool> fails = failing(prepared.plan);
  std::vector<bool> to_run = stages_to_run(prepared.plan, resolve(prepared.plan, prepared.store));
  for (std::size_t id = 0; id < to_run.size(); ++id) {
    const std::string kind = to_string(prepared.plan.nodes[id].kind);
    ++summary.stages[kind];
    if (fails[id]) {  // neither stored nor to run
      to_run[id] = false;
      continue;
    }
    ++(to_run[id] ? summary.to_run : summary.cached)[kind];
  }
  summary.seconds = estimate_total(prepared.plan, prepared.seconds, to_run, prepared.scenario.workers);
  return summary;
}

Json to_json(const PlanSummary& summary) {
  return {{"cells", summary.cells},     {"stages", summary.stages},   {"cached", summary.cached},
          {"to_run", summary.to_run},   {"seconds", summary.seconds}, {"configurations", summary.configurations},
          {"missing", summary.missing}, {"notes", summary.notes},     {"faults", summary.faults}};
}

std::string to_string(const PlanSummary& summary) {
  std::ostringstream text;
  text << summary.cells << " cells\n\n"
       << "stage       distinct    cached    to run\n";
  std::int64_t total = 0;
  std::int64_t cached = 0;
  std::int64_t to_run = 0;
  const auto line = [&](std::string kind, std::int64_t all, std::int64_t cached, std::int64_t left) {
    kind.resize(10, ' ');
    text << kind << padded(std::to_string(all), 10) << padded(std::to_string(cached), 10) << padded(std::to_string(left), 10)
         << "\n";
  };
  for (const auto& info : stage_kinds()) {
    const std::string kind = info.word;
    line(kind, summary.stages.at(kind), summary.cached.at(kind), summary.to_run.at(kind));
    total += summary.stages.at(kind);
    cached += summary.cached.at(kind);
    to_run += summary.to_run.at(kind);
  }
  line("all", total, cached, to_run);
  if (summary.missing.empty()) {
    text << "\n" << (to_run == 0 ? std::string("nothing to do") : "about " + duration_text(summary.seconds)) << "\n";
  }
  for (const auto* sentences : {&summary.faults, &summary.missing, &summary.notes}) {
    for (const auto& sentence : *sentences) text << "\n" << sentence << "\n";
  }
  return text.str();
}

}  // namespace holdfast
