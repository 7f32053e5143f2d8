#include "report/model_cells.h"

#include <algorithm>

#include "report/metric_roles.h"

namespace holdfast {
namespace {

std::vector<std::string> those_in(const std::vector<std::string>& ordered, const std::set<std::string>& present) {
  std::vector<std::string> kept;
  std::copy_if(ordered.begin(), ordered.end(), std::back_inserter(kept),
               [&](const std::string& name) { return present.contains(name); });
  return kept;
}

}  // namespace

ModelCells::ModelCells(const Results& results, std::string model, std::string threat_model)
    : results_(results), model_(std::move(model)), threat_model_(std::move(threat_model)) {
  std::set<std::string> attacks, defenses, metrics;
  std::map<std::string, std::string> sweep_of;  // by try
  for (const auto& cells : results.groups) {
    if (cells.model != model_) continue;
    const bool none = cells.attack == "none";
    if (!none && cells.threat_model != threat_model_) continue;
    attacks.insert(cells.attack);
    if (!cells.sweep.empty()) sweep_of[cells.attack] = cells.sweep;
    if (!none || threat_model_ == "api") defenses.insert(cells.defense);
    for (const auto& [id, unused] : cells.metrics) metrics.insert(id);
    for (const auto& [id, unused] : cells.unknown) metrics.insert(id);
  }
  for (const auto& attack : those_in(results.attacks, attacks)) {
    const auto sweep = sweep_of.find(attack);
    const std::string& column = sweep == sweep_of.end() ? attack : sweep->second;
    if (sweep != sweep_of.end()) sweeps_.insert(column);
    auto& behind = tries_[column];
    if (behind.empty()) attacks_.push_back(column);
    behind.push_back(attack);
  }
  defenses_ = those_in(results.defenses, defenses);
  metrics_.assign(metrics.begin(), metrics.end());
  choose(harm_metrics(*this).front(), {});
}

ModelCells ModelCells::by(const std::string& harm, const Counts& counts) const {
  ModelCells board = *this;
  board.choose(harm, counts);
  return board;
}

void ModelCells::choose(const std::string& harm, const Counts& counts) {
  for (const auto& sweep : sweeps_) {
    for (const auto& defense : defenses_) shown_[{sweep, defense}] = worst_try(sweep, defense, harm, counts);
  }
}

const CellGroup* ModelCells::worst_try(const std::string& sweep, const std::string& defense, const std::string& harm,
                                       const Counts& counts) const {
  const CellGroup* worst = nullptr;
  std::optional<double> most;
  for (const auto& attack : tries(sweep)) {
    const auto* cells = results_.find(model_, attack, defense);
    if (cells == nullptr) continue;
    if (worst == nullptr) worst = cells;
    const auto found = cells->metrics.find(harm);
    if (found == cells->metrics.end() || (counts && !counts(*cells))) continue;
    if (!most || found->second.value > *most) {
      most = found->second.value;
      worst = cells;
    }
  }
  return worst;
}

const CellGroup* ModelCells::group(const std::string& attack, const std::string& defense) const {
  const auto shown = shown_.find({attack, defense});
  return shown == shown_.end() ? results_.find(model_, attack, defense) : shown->second;
}

const PooledMetric* ModelCells::metric(const std::string& attack, const std::string& defense, const std::string& id) const {
  const auto* cells = group(attack, defense);
  if (cells == nullptr) return nullptr;
  const auto found = cells->metrics.find(id);
  return found == cells->metrics.end() ? nullptr : &found->second;
}

std::optional<double> ModelCells::value(const std::string& attack, const std::string& defense, const std::string& id) const {
  const auto* found = metric(attack, defense, id);
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

std::int64_t ModelCells::unknown_seeds(const std::string& attack, const std::string& defense, const std::string& id) const {
  const auto* cells = group(attack, defense);
  if (cells == nullptr) return 0;
  const auto found = cells->unknown.find(id);
  return found == cells->unknown.end() ? 0 : found->second;
}

std::vector<ModelCells> boards(const Results& results) {
  std::vector<ModelCells> boards;
  for (const auto& model : results.models) {
    const auto has = [&](const std::string& threat) {
      return std::any_of(results.groups.begin(), results.groups.end(), [&](const CellGroup& cells) {
        return cells.model == model && cells.attack != "none" && cells.threat_model == threat;
      });
    };
    const bool weights = has("weights");
    if (!weights || has("api")) boards.emplace_back(results, model, "api");
    if (weights) boards.emplace_back(results, model, "weights");
  }
  return boards;
}

bool is_control(const std::string& attack) { return attack == "none" || !wrapped_attack(attack).empty(); }

}  // namespace holdfast
