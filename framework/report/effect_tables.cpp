#include "report/effect_tables.h"

#include <algorithm>
#include <set>

#include "judge/metrics.h"
#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

std::vector<DefenseEffect> harm_effects(const ModelCells& cells, const std::string& harm) {
  std::vector<std::string> attacked;
  std::copy_if(cells.attacks().begin(), cells.attacks().end(), std::back_inserter(attacked),
               [](const std::string& attack) { return !is_control(attack); });
  return defense_effects(cells, harm, attacked);
}

std::vector<DefenseEffect> price_effects(const ModelCells& cells, const std::string& price) {
  return defense_effects(cells, price, {"none"});
}

// The board whose sweeps show their worst try that counts; of a score, the worst of all.
ModelCells with_worst_tries(const ModelCells& cells, const std::string& harm) {
  if (!cells.has_sweeps() || is_score(harm)) return cells.by(harm);
  return cells.by(harm, ranking_of(cells, harm).counting());
}

TextTable effect_table(const std::string& first) { return {{first, "change", "p", "Holm p", "noise", "detect", "so"}, {}}; }

std::vector<TableCell> effect_row(const std::string& name, const DefenseEffect& effect) {
  const bool share = !is_log_scale(effect.metric) && !is_score(effect.metric);
  const auto change = [&](double value) { return share ? points(value) : fixed(value, 2); };
  const auto size = [&](double value) { return share ? percent(value) : fixed(value, 2); };
  return {{name},
          {change(effect.change.value) + " (" + change(effect.change.low) + " to " + change(effect.change.high) + ")"},
          {p_text(effect.p)},
          {p_text(effect.adjusted)},
          {effect.noise ? size(*effect.noise) : "?"},
          {size(effect.detectable)},
          {effect_word(effect)}};
}

TextTable score_means(const ModelCells& cells, const std::string& score) {
  TextTable table{{"defense"}, {}};
  for (const auto& attack : cells.attacks()) table.header.push_back(attack == "none" ? "no attack" : attack);
  for (const auto& defense : cells.defenses()) {
    std::vector<TableCell> row = {{defense}};
    for (const auto& attack : cells.attacks()) {
      const auto* found = cells.metric(attack, defense, score);
      row.push_back({found == nullptr ? "-" : with_interval(score, *found)});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

TextTable harm_effect_table(const ModelCells& cells, const std::string& harm) {
  TextTable table = effect_table("attack x defense");
  for (const auto& effect : harm_effects(cells, harm)) {
    auto row = effect_row(effect.attack + " x " + effect.defense, effect);
    if (row.back().text == "lower") row.back().mark = Mark::kHolds;
    table.rows.push_back(std::move(row));
  }
  return table;
}

TextTable price_effect_table(const ModelCells& cells, const std::vector<std::string>& price) {
  TextTable table = effect_table("defense, without attack");
  for (const auto& id : price) {
    for (const auto& effect : price_effects(cells, id)) {
      table.rows.push_back(effect_row(effect.defense + ": " + (is_log_scale(id) ? "log " + id : id), effect));
    }
  }
  return table;
}

std::vector<ScoreTable> score_tables(const ModelCells& cells) {
  std::vector<ScoreTable> tables;
  for (const auto& id : cells.metrics()) {
    if (is_score(id)) tables.push_back({id, score_means(cells.by(id), id), harm_effect_table(cells.by(id), id)});
  }
  return tables;
}

std::vector<DefenseEffect> all_effects(const ModelCells& cells) {
  std::vector<DefenseEffect> all;
  const auto add = [&](const std::vector<DefenseEffect>& effects) { all.insert(all.end(), effects.begin(), effects.end()); };
  std::set<std::string> priced;  // price metrics are the same whatever the harm
  auto harms = harm_metrics(cells);
  std::copy_if(cells.metrics().begin(), cells.metrics().end(), std::back_inserter(harms), is_score);
  for (const auto& harm : harms) {
    add(harm_effects(with_worst_tries(cells, harm), harm));
    for (const auto& price : price_metrics(cells, harm)) {
      if (priced.insert(price).second) add(price_effects(cells, price));
    }
  }
  return all;
}

}  // namespace holdfast
