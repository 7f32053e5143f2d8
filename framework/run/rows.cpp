#include "run/rows.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/digest.h"
#include "data/conversation.h"
#include "judge/metrics.h"
#include "judge/three_outcomes.h"
#include "results/generations.h"

namespace holdfast {
namespace {

Json start_row(const Plan& plan, const Cell& cell) {
  return {{"model", plan.models[cell.model]},
          {"attack", plan.attacks[cell.attack]},
          {"defense", plan.defenses[cell.defense]},
          {"seed", cell.seed},
          {"status", "ok"},
          {"message", ""},
          {"metrics", Json::object()}};
}

}  // namespace

bool Rows::is_judge(std::size_t node) const { return plan_.nodes[node].kind == StageKind::kJudge; }

std::size_t Rows::replies_of(const Cell& cell) const {
  const auto replies = std::find_if(cell.stages.rbegin(), cell.stages.rend(), [&](const CellStage& stage) {
    return plan_.nodes[stage.node].kind == StageKind::kGenerate;
  });
  HOLDFAST_CHECK(replies != cell.stages.rend());
  return replies->node;
}

bool Rows::complete(const Cell& cell) const {
  bool all_done = true;
  for (const auto& [name, node] : cell.stages) {
    if (outcomes_[node].state == NodeState::kFailed) return true;
    all_done = all_done && outcomes_[node].state == NodeState::kDone;
  }
  return all_done;
}

const Manifest& Rows::manifest(std::size_t node) {
  const std::string& key = outcomes_[node].key;
  const auto known = manifests_.find(key);
  if (known != manifests_.end()) return known->second;
  auto found = store_.find(plan_.nodes[node].kind, key);
  if (!found) throw CorruptArtifact(plan_.nodes[node].kind, key, "the artifact " + key + " left the store during the run");
  return manifests_.emplace(key, std::move(*found)).first->second;
}

const Rows::CellOutcomes& Rows::outcomes(const Cell& cell) {
  const std::string stamp = samples_stamp(cell, false);
  const auto known = judged_.find(stamp);
  if (known != judged_.end()) return known->second;
  CellOutcomes all;
  for (const auto& [name, node] : cell.stages) {
    if (!is_judge(node)) continue;
    read_jsonl(store_.file(StageKind::kJudge, outcomes_[node].key, kVerdictsFile), [&](const Json& verdict, std::int64_t) {
      auto& reply = all[verdict.at("id").get<std::string>()];
      for (const auto& [id, outcome] : verdict.at("outcomes").items()) {
        const double value = outcome.is_null() ? std::numeric_limits<double>::quiet_NaN() : outcome.get<double>();
        if (!reply.emplace(id, value).second) throw Error("two judges give the metric \"" + id + "\"");
      }
    });
  }
  for (auto& [id, reply] : all) add_three_outcomes(reply);
  return judged_.emplace(stamp, std::move(all)).first->second;
}

// A stage counts once a cell; shared, each of the cells that use it bears its part.
Json Rows::cost(const Cell& cell) {
  double seconds = 0;
  double shared = 0;
  for (const auto& [name, node] : cell.stages) {
    if (outcomes_[node].state != NodeState::kDone) continue;
    const double each = manifest(node).cost.value("seconds", 0.0);
    seconds += each;
    shared += each / static_cast<double>(std::max<std::size_t>(1, plan_.nodes[node].cells));
  }
  return {{"seconds", seconds}, {"seconds_shared", shared}};
}

Json Rows::reports(const Cell& cell) {
  Json reports = Json::object();
  for (const auto& [name, node] : cell.stages) {
    if (outcomes_[node].state != NodeState::kDone) continue;
    const PlanNode& stage = plan_.nodes[node];
    for (const auto& [figure, value] : manifest(node).reports.items()) {
      const std::string kind = to_string(stage.kind);
      const std::string plain = kind + "." + figure;
      reports[reports.contains(plain) ? kind + "." + stage.plugin + "." + figure : plain] = value;
    }
  }
  return reports;
}

Json Rows::row(const Cell& cell) {
  Json row = start_row(plan_, cell);
  Json keys = Json::object();
  for (const auto& [name, node] : cell.stages) {
    const NodeOutcome& outcome = outcomes_[node];
    if (outcome.state == NodeState::kDone) keys[plan_.stage_names[name]] = outcome.key;
    if (outcome.state == NodeState::kFailed && row["status"] == "ok") {
      row["status"] = outcome.status;
      row["message"] = outcome.message;
    }
  }
  row["stages"] = std::move(keys);
  try {
    row["cost"] = cost(cell);
    row["reports"] = reports(cell);
    if (row["status"] != "ok") return row;
    std::vector<std::map<std::string, double>> replies;
    for (const auto& [id, reply] : outcomes(cell)) replies.push_back(reply);
    std::string unknown;
    for (const auto& [id, metric] : aggregate(replies)) {
      row["metrics"][id] = to_json(metric);
      if (!std::isfinite(metric.value)) unknown += (unknown.empty() ? "" : ", ") + id;
    }
    if (!unknown.empty()) row["message"] = "these figures are not finite: " + unknown;
  } catch (const std::exception& error) {
    row["status"] = "failed";
    row["message"] = error.what();
    row["metrics"] = Json::object();
  }
  return row;
}

std::string Rows::samples_stamp(const Cell& cell, bool full) const {
  Json parts = {full, outcomes_[replies_of(cell)].key};
  for (const auto& [name, node] : cell.stages) {
    if (is_judge(node)) parts.push_back(outcomes_[node].key);
  }
  return sha256(canonical(parts));
}

std::string Rows::samples(const Cell& cell, bool full) {
  CellOutcomes left = outcomes(cell);
  std::string text;
  const fs::path path = store_.file(StageKind::kGenerate, outcomes_[replies_of(cell)].key, kGenerationsFile);
  for (const auto& each : read_generations(path)) {
    Json row = {{"id", each.id},
                {"kind", each.tags.at("kind")},
                {"reply_sha256", sha256(each.reply)},
                {"reply_length", each.reply.size()},
                {"outcomes", left[each.id]}};
    if (each.tags.contains("category")) row["category"] = each.tags.at("category");
    if (full) {
      row["prompt"] = to_json(each.prompt);
      row["reply"] = each.reply;
    }
    text += canonical(row) + "\n";
    left.erase(each.id);
  }
  // Tasks that are measured on the weights have no reply.
  for (const auto& [id, outcomes] : left) text += canonical({{"id", id}, {"kind", "task"}, {"outcomes", outcomes}}) + "\n";
  return text;
}

}  // namespace holdfast
