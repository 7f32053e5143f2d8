#include "report/effects.h"

#include <cmath>

#include "judge/metrics.h"

namespace holdfast {
namespace {

constexpr double kSignificant = 0.05;
constexpr std::uint64_t kBootstrapSeed = 1;

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

std::vector<DefenseEffect> defense_effects(const ModelCells& board, const std::string& metric,
                                           const std::vector<std::string>& attacks) {
  std::vector<DefenseEffect> effects;
  for (const auto& attack : attacks) {
    const auto* undefended = board.metric(attack, "none", metric);
    if (undefended == nullptr) continue;
    const auto noise = noise_floor(column_grids(board, attack, metric, board.defenses()));  // every defense's cells tell of it
    for (const auto& defense : board.defenses()) {
      const auto* defended = defense == "none" ? nullptr : board.metric(attack, defense, metric);
      auto effect = defended == nullptr ? std::nullopt : change_between(*undefended, *defended, metric);
      if (!effect) continue;
      effect->attack = attack;
      effect->defense = defense;
      effect->noise = noise;
      effects.push_back(std::move(*effect));
    }
  }
  std::vector<double> p;
  for (const auto& effect : effects) p.push_back(effect.p);
  const auto adjusted = holm(p);
  for (std::size_t i = 0; i < effects.size(); ++i) effects[i].adjusted = adjusted[i];
  return effects;
}

}  // namespace holdfast
