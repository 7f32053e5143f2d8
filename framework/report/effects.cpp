#include "report/effects.h"

#include <cmath>

#include "base/parallel.h"
#include "judge/metrics.h"

namespace holdfast {
namespace {

constexpr double kSignificant = 0.05;

const Outcomes* outcomes(const ModelCells& board, const std::string& attack, const std::string& defense,
                         const std::string& metric) {
  const auto* found = board.metric(attack, defense, metric);
  return found == nullptr || found->outcomes.empty() ? nullptr : &found->outcomes;
}

void compare(DefenseEffect& effect, const Paired& pair) {
  const bool rates = are_shares(effect.metric, pair.before) && are_shares(effect.metric, pair.after);
  effect.change = rates ? rate_difference(pair.before, pair.after) : mean_difference(pair.before, pair.after, kBootstrapSeed);
  effect.p = rates ? mcnemar_p(pair.before, pair.after) : bootstrap_p(pair.before, pair.after, kBootstrapSeed);
  effect.adjusted = effect.p;
  effect.detectable = minimum_detectable_effect(pair.before, pair.after);
}

}  // namespace

std::string effect_word(const DefenseEffect& effect) {
  if (effect.noise && std::abs(effect.change.value) <= *effect.noise) return "noise";
  const bool zero_inside = effect.change.low <= 0 && effect.change.high >= 0;
  if (effect.adjusted >= kSignificant || zero_inside) return "unclear";
  return effect.change.value < 0 ? "lower" : "higher";
}

std::optional<DefenseEffect> change_between(const PooledMetric& before, const PooledMetric& after, const std::string& metric) {
  const auto pair = paired(before.outcomes, after.outcomes);
  if (!pair) return std::nullopt;
  DefenseEffect effect;
  effect.metric = metric;
  compare(effect, *pair);
  return effect;
}

std::vector<Grid> column_grids(const ModelCells& board, const std::string& attack, const std::string& metric,
                               const std::vector<std::string>& defenses) {
  std::vector<Grid> grids;
  for (const auto& defense : defenses) {
    if (const auto* found = outcomes(board, attack, defense, metric)) grids.push_back(found->grid);
  }
  return grids;
}

namespace {

// All that the effects depend on beside the rows: the metric, the columns, and of sweeps the tries that they show.
std::string effects_name(const ModelCells& board, const std::string& metric, const std::vector<std::string>& attacks) {
  std::string name = "effects\n" + board.model() + "\n" + board.threat_model() + "\n" + metric;
  for (const auto& attack : attacks) {
    name += "\n" + attack;
    if (!board.is_sweep(attack)) continue;
    for (const auto& defense : board.defenses()) {
      const auto* shown = board.group(attack, defense);
      name += "\n" + (shown == nullptr ? "" : shown->attack);
    }
  }
  return name;
}

struct Compared {
  const PooledMetric *before, *after;
  std::string attack, defense;
  std::optional<double> noise;
};

std::vector<Compared> compared(const ModelCells& board, const std::string& metric, const std::vector<std::string>& attacks) {
  std::vector<Compared> all;
  for (const auto& attack : attacks) {
    const auto* undefended = board.metric(attack, "none", metric);
    if (undefended == nullptr) continue;
    const auto noise = noise_floor(column_grids(board, attack, metric, board.defenses()));  // every defense's cells tell of it
    for (const auto& defense : board.defenses()) {
      const auto* defended = defense == "none" ? nullptr : board.metric(attack, defense, metric);
      if (defended != nullptr) all.push_back({undefended, defended, attack, defense, noise});
    }
  }
  return all;
}

std::vector<DefenseEffect> made_effects(const ModelCells& board, const std::string& metric,
                                        const std::vector<std::string>& attacks) {
  const auto pairs = compared(board, metric, attacks);
  std::vector<std::optional<DefenseEffect>> changes(pairs.size());
  for_each_number(pairs.size(), [&](std::size_t i) { changes[i] = change_between(*pairs[i].before, *pairs[i].after, metric); });
  std::vector<DefenseEffect> effects;
  std::vector<double> p;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!changes[i]) continue;
    changes[i]->attack = pairs[i].attack;
    changes[i]->defense = pairs[i].defense;
    changes[i]->noise = pairs[i].noise;
    p.push_back(changes[i]->p);
    effects.push_back(std::move(*changes[i]));
  }
  const auto adjusted = holm(p);
  for (std::size_t i = 0; i < effects.size(); ++i) effects[i].adjusted = adjusted[i];
  return effects;
}

}  // namespace

std::vector<DefenseEffect> defense_effects(const ModelCells& board, const std::string& metric,
                                           const std::vector<std::string>& attacks) {
  return board.results().once<std::vector<DefenseEffect>>(effects_name(board, metric, attacks),
                                                          [&] { return made_effects(board, metric, attacks); });
}

}  // namespace holdfast
