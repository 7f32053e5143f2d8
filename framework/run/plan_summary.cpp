#include "run/plan_summary.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "plan/estimate.h"
#include "plan/stage_key.h"
#include "run/progress.h"

namespace holdfast {
namespace {

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
    const StoredArtifact* stored = resolved[id].artifact;
    to_run[id] = stored == nullptr || (stored->dropped && read[id]);
    if (!to_run[id]) continue;
    for (const std::size_t each : plan.read_by(id)) read[each] = true;
  }
  return to_run;
}

// Stages that cannot run cost nothing.
MatrixCost cost_of(const Prepared& prepared, const std::vector<Resolved>& resolved, const std::vector<bool>& fails) {
  std::vector<double> seconds = prepared.seconds;
  std::vector<std::string> keys;
  for (std::size_t id = 0; id < seconds.size(); ++id) {
    keys.push_back(resolved[id].key);
    if (resolved[id].artifact != nullptr) seconds[id] = resolved[id].artifact->seconds;
    if (fails[id]) seconds[id] = 0;
  }
  return matrix_cost(prepared.plan, seconds, keys);
}

std::string padded(const std::string& text, std::size_t width) {
  return text.size() >= width ? text : std::string(width - text.size(), ' ') + text;
}

}  // namespace

PlanSummary plan_scenario(const RunOptions& options) {
  const Prepared prepared = prepare(options, false);
  PlanSummary summary;
  summary.configurations = configurations(prepared.scenario);
  summary.missing = prepared.scenario.missing;
  summary.notes = prepared.notes;
  summary.faults = faults(prepared.scenario);
  summary.cells = static_cast<std::int64_t>(prepared.plan.cells.size());
  for (const auto& attack : prepared.scenario.attacks) {
    if (!attack.sweep.empty()) ++summary.tries[attack.sweep];
  }
  for (const auto& info : stage_kinds()) {
    for (auto* counts : {&summary.stages, &summary.cached, &summary.to_run}) (*counts)[info.word] = 0;
  }
  const std::vector<bool> fails = failing(prepared.plan);
  const std::vector<Resolved> resolved = resolve(prepared.plan, prepared.index);
  std::vector<bool> to_run = stages_to_run(prepared.plan, resolved);
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
  summary.cost = cost_of(prepared, resolved, fails);
  return summary;
}

Json to_json(const PlanSummary& summary) {
  return {{"cells", summary.cells},
          {"tries", summary.tries},
          {"stages", summary.stages},
          {"cached", summary.cached},
          {"to_run", summary.to_run},
          {"seconds", summary.seconds},
          {"cost", {{"distinct", summary.cost.distinct}, {"alone", summary.cost.alone}, {"share", summary.cost.share()}}},
          {"configurations", summary.configurations},
          {"missing", summary.missing},
          {"notes", summary.notes},
          {"faults", summary.faults}};
}

std::string to_string(const MatrixCost& cost) {
  char share[32];
  std::snprintf(share, sizeof share, "%.2f", cost.share());
  return "distinct stages " + duration_text(cost.distinct) + ", cells one by one " + duration_text(cost.alone) + ": " + share +
         " of it";
}

std::string to_string(const PlanSummary& summary) {
  std::ostringstream text;
  text << summary.cells << " cells\n";
  for (const auto& [sweep, tries] : summary.tries) text << sweep << ": " << tries << (tries == 1 ? " try\n" : " tries\n");
  text << "\n"
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
    text << "\n"
         << (to_run == 0 ? std::string("nothing to do") : "about " + duration_text(summary.seconds)) << "\n"
         << to_string(summary.cost) << "\n";
  }
  for (const auto* sentences : {&summary.faults, &summary.missing, &summary.notes}) {
    for (const auto& sentence : *sentences) text << "\n" << sentence << "\n";
  }
  return text.str();
}

}  // namespace holdfast
