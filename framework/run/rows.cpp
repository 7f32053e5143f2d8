#include "run/rows.h"

#include <holdfast/context.h>
#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/digest.h"
#include "data/conversation.h"
#include "judge/held_out.h"
#include "judge/metrics.h"
#include "judge/three_outcomes.h"
#include "provider/submission.h"
#include "results/curve.h"
#include "results/generations.h"
#include "results/sample.h"
#include "results/verdicts.h"
#include "work/stages.h"

namespace holdfast {
namespace {

std::map<std::string, double> renamed_held_out(const std::map<std::string, double>& reply) {
  std::map<std::string, double> renamed;
  for (const auto& [metric, outcome] : reply) renamed[metric + kHeldOut] = outcome;
  return renamed;
}

// Nothing where one of the stages does not say: stages of an older program, or of a machine that does not tell.
template <typename T>
std::optional<T> sum_of(const std::vector<const Json*>& costs, const char* name) {
  T sum = 0;
  for (const Json* cost : costs) {
    if (!cost->contains(name)) return std::nullopt;
    sum += cost->at(name).get<T>();
  }
  return costs.empty() ? std::nullopt : std::optional(sum);
}

}  // namespace

bool Rows::complete(const Cell& cell) const {
  bool all_done = true;
  for (const auto* stages : {&cell.stages, &cell.moderators}) {
    for (const auto& [name, node] : *stages) {
      if (outcomes_[node].state == NodeState::kFailed) return true;
      all_done = all_done && outcomes_[node].state == NodeState::kDone;
    }
  }
  return all_done;
}

std::size_t Rows::keys_hash(const Cell& cell) const {
  std::string keys;
  for (const auto* stages : {&cell.stages, &cell.moderators}) {
    for (const auto& [name, node] : *stages) keys += outcomes_[node].key + " ";
  }
  return std::hash<std::string>()(keys);
}

const Rows::StageFigures& Rows::figures(std::size_t node) {
  const std::string& key = outcomes_[node].key;
  const auto known = figures_.find(key);
  if (known != figures_.end()) return known->second;
  const auto found = store_.find(plan_.nodes[node].kind, key);
  if (!found) throw CorruptArtifact(plan_.nodes[node].kind, key, "the artifact " + key + " left the store during the run");
  return figures_.emplace(key, StageFigures{found->cost, found->reports, found->versions}).first->second;
}

const Rows::CellOutcomes& Rows::outcomes(const Cell& cell) {
  const std::string stamp = samples_stamp(cell, false);
  if (stamp == judged_stamp_) return judged_;
  CellOutcomes all;
  for (const auto& [name, node] : cell.stages) {
    if (judges_replies(node)) add_verdicts(all, node);
  }
  for (auto& [id, reply] : all) {
    add_three_outcomes(reply);
    if (is_held_out(id)) reply = renamed_held_out(reply);
  }
  judged_ = std::move(all);
  judged_stamp_ = stamp;
  return judged_;
}

void Rows::add_verdicts(CellOutcomes& outcomes, std::size_t node) const {
  const fs::path file = store_.file(StageKind::kJudge, outcomes_[node].key, kVerdictsFile);
  read_verdicts(file, [&](const std::string& id, const std::map<std::string, double>& verdict) {
    auto& reply = outcomes[id];
    for (const auto& [metric, outcome] : verdict) {
      if (!reply.emplace(metric, outcome).second) throw Error("two judges give the metric \"" + metric + "\"");
    }
  });
}

// A stage counts once a cell; shared, each of the cells that use it bears its part.
void Rows::add_cost(CellRow& row, const Cell& cell) {
  std::vector<const Json*> costs;
  for (const auto& [name, node] : cell.stages) {
    if (outcomes_[node].state != NodeState::kDone) continue;
    const StageFigures& stage = figures(node);
    const double each = stage.cost.value("seconds", 0.0);
    row.seconds += each;
    row.forward_tokens += stage.cost.value("forward_tokens", std::int64_t{0});
    row.backward_tokens += stage.cost.value("backward_tokens", std::int64_t{0});
    row.peak_memory = std::max(row.peak_memory, stage.cost.value("peak_memory", std::int64_t{0}));
    row.peak_device_memory = std::max(row.peak_device_memory, stage.cost.value("peak_device_memory", std::int64_t{0}));
    if (stage.reports.contains(kDefenderRows)) row.defender_rows += stage.reports.at(kDefenderRows).at("n").get<std::int64_t>();
    row.seconds_shared += each / static_cast<double>(std::max<std::size_t>(1, plan_.nodes[node].cells));
    costs.push_back(&stage.cost);
  }
  row.flops = sum_of<std::uint64_t>(costs, "flops");
  row.cpu_seconds = sum_of<double>(costs, "cpu_seconds");
  row.energy_joules = sum_of<double>(costs, "energy_joules");
  double held = 0;
  for (const Json* cost : costs) held += cost->value("device_seconds", 0.0);
  if (held > 0) row.device_seconds = held;
}

Json Rows::reports(const Cell& cell) {
  Json reports = Json::object();
  for (const auto& [name, node] : cell.stages) {
    if (outcomes_[node].state != NodeState::kDone) continue;
    const PlanNode& stage = plan_.nodes[node];
    for (const auto& [figure, value] : figures(node).reports.items()) {
      const std::string kind = to_string(stage.kind);
      const std::string plain = kind + "." + figure;
      reports[reports.contains(plain) ? kind + "." + stage.plugin + "." + figure : plain] = value;
    }
  }
  for (const auto& [name, node] : cell.moderators) {  // "moderator.x" lets pass what is called "passes-moderation.x"
    const std::string& stage = plan_.stage_names[name];
    const Json& said = outcomes_[node].state == NodeState::kDone ? figures(node).reports : Json::object();
    if (said.contains(kPasses)) reports["passes-moderation" + stage.substr(stage.find('.'))] = said.at(kPasses);
  }
  return reports;
}

void Rows::add_metrics(CellRow& row, const Cell& cell) {
  std::vector<std::map<std::string, double>> replies;
  for (const auto& [id, reply] : outcomes(cell)) replies.push_back(reply);
  CellOutcomes rows;
  for (const auto& [name, node] : cell.stages) {
    if (is_judge(node) && !judges_replies(node)) add_verdicts(rows, node);
  }
  for (const auto& [id, row] : rows) replies.push_back(row);
  std::string unknown;
  row.metrics = aggregate(replies);
  for (const auto& [id, metric] : row.metrics) {
    if (!std::isfinite(metric.value)) unknown += (unknown.empty() ? "" : ", ") + id;
  }
  if (!unknown.empty()) row.message = "these figures are not finite: " + unknown;
}

// It is a result: the cell's replies are those of the model that the attacker is left with.
void Rows::add_refusal(CellRow& row, const Cell& cell) {
  for (const auto& [name, node] : cell.stages) {
    if (plan_.nodes[node].kind != StageKind::kSubmit) continue;
    if (figures(node).reports.at(kRefusedByProvider).at("value") == 0) continue;
    const fs::path job = store_.file(StageKind::kSubmit, outcomes_[node].key, kJobFile);
    const Submitted submitted = submitted_from_json(parse_json(read_file(job), job.string()));
    std::string rows;
    for (const auto each : submitted.rows) rows += (rows.empty() ? "" : ", ") + std::to_string(each);
    row.message += (row.message.empty() ? "" : "; ") + std::string("the provider refused the ") +
                   std::to_string(submitted.count) + " rows (" + submitted.status + ": " + submitted.reason + ")" +
                   (rows.empty() ? "" : ", of which it named " + rows) + "; the replies are its untuned model's";
  }
}

CellRow Rows::row(const Cell& cell) {
  CellRow row;
  row.model = plan_.models[cell.model];
  row.attack = plan_.attacks[cell.attack];
  if (const auto found = plan_.tries.find(row.attack); found != plan_.tries.end()) {
    row.sweep = found->second.sweep;
    row.tried = found->second.tried;
  }
  row.defense = plan_.defenses[cell.defense];
  row.seed = cell.seed;
  row.threat_model = to_string(cell.threat);
  for (const auto* stages : {&cell.stages, &cell.moderators}) {
    for (const auto& [name, node] : *stages) {
      const NodeOutcome& outcome = outcomes_[node];
      if (outcome.state == NodeState::kDone) row.stages[plan_.stage_names[name]] = outcome.key;
      if (outcome.state == NodeState::kFailed && row.ok()) {
        row.status = outcome.status;
        row.message = outcome.message;
      }
    }
  }
  try {
    add_cost(row, cell);
    row.reports = reports(cell);
    if (row.ok()) {
      add_metrics(row, cell);
      add_refusal(row, cell);
    }
  } catch (const std::exception& error) {
    row.status = "failed";
    row.message = error.what();
    row.metrics.clear();
  }
  return row;
}

StageRow Rows::stage(std::size_t node) {
  const PlanNode& planned = plan_.nodes[node];
  const StageFigures& made = figures(node);
  StageRow row{outcomes_[node].key, to_string(planned.kind), planned.plugin, {}, {}, made.cost, made.reports, made.versions};
  for (const auto& input : planned.inputs) row.inputs[std::string(input.role)] = outcomes_[input.node].key;
  if (const std::string* model = planned.task->find("model")) {
    const auto device = Json::parse(*model).at("device").get<std::string>();
    row.device = device.substr(0, device.find(':'));
  }
  return row;
}

std::string Rows::curve(std::size_t node) const {
  const fs::path file = store_.folder(plan_.nodes[node].kind, outcomes_[node].key) / kCurveFile;
  return fs::exists(file) ? read_file(file) : "";
}

// Those that are judged, of the last generate stage.
const std::string& Rows::generate_key(const Cell& cell) const {
  const auto replies = std::find_if(cell.stages.rbegin(), cell.stages.rend(), [&](const CellStage& stage) {
    return plan_.nodes[stage.node].kind == StageKind::kGenerate;
  });
  HOLDFAST_CHECK(replies != cell.stages.rend());
  return outcomes_[replies->node].key;
}

std::string Rows::samples_stamp(const Cell& cell, bool full) const {
  Json parts = {full, generate_key(cell)};
  for (const auto& [name, node] : cell.stages) {
    if (judges_replies(node)) parts.push_back(outcomes_[node].key);
  }
  return sha256(canonical(parts));
}

std::string Rows::samples(const Cell& cell, bool full) {
  CellOutcomes left = outcomes(cell);
  std::string text;
  const fs::path path = store_.file(StageKind::kGenerate, generate_key(cell), kGenerationsFile);
  for (const auto& each : read_generations(path)) {
    Sample sample{each.id, each.tags.at("kind"), left[each.id], SampleReply{sha256(each.reply), each.reply.size(), {}, {}}};
    if (each.tags.contains("category")) sample.reply->category = each.tags.at("category");
    if (full) sample.reply->text = SampleText{to_json(each.prompt), each.reply};
    text += canonical(to_json(sample)) + "\n";
    left.erase(each.id);
  }
  for (const auto& [id, outcomes] : left) text += canonical(to_json(Sample{id, "task", outcomes, {}})) + "\n";
  return text;
}

}  // namespace holdfast
