#include "report/effort.h"

#include <holdfast/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/cost.h"
#include "report/figures.h"

namespace holdfast {
namespace {

constexpr double kLow = 0.025, kHigh = 0.975;  // the band
constexpr double kRounding = 1e-9;             // of sums of shares
constexpr std::size_t kAllOrders = 6;          // 720 of them
constexpr std::size_t kDrawnOrders = 1000;
constexpr std::size_t kBudgets = 32;
constexpr std::uint64_t kSeed = 1;

// Values with the share of orders in which the best is at most them, both ascending.
struct Distribution {
  std::vector<double> values, shares;

  double quantile(double share) const {
    const auto place = std::lower_bound(shares.begin(), shares.end(), share - kRounding);
    return values[std::min<std::size_t>(static_cast<std::size_t>(place - shares.begin()), values.size() - 1)];
  }
  EffortPoint at(double spent) const {
    double mean = 0;
    for (std::size_t i = 0; i < values.size(); ++i) mean += values[i] * (shares[i] - (i == 0 ? 0 : shares[i - 1]));
    return {spent, mean, quantile(kLow), quantile(kHigh)};
  }
};

// Of n of these N sorted values without replacement: the k smallest hold them all in C(k, n) / C(N, n) of the cases.
Distribution best_of(const std::vector<double>& sorted, std::size_t n) {
  Distribution best{sorted, std::vector<double>(sorted.size(), 0)};
  double share = 1;
  for (std::size_t k = sorted.size(); k >= n; --k) {
    best.shares[k - 1] = share;
    share *= static_cast<double>(k - n) / static_cast<double>(k);
  }
  return best;
}

// From the cheapest try to all of them, each the same factor above the one before.
std::vector<double> budgets(const std::vector<double>& costs) {
  const double least = *std::min_element(costs.begin(), costs.end());
  const double all = std::accumulate(costs.begin(), costs.end(), 0.0);
  std::vector<double> steps;
  for (std::size_t i = 0; i + 1 < kBudgets && costs.size() > 1; ++i) {
    steps.push_back(least * std::pow(all / least, static_cast<double>(i) / (kBudgets - 1)));
  }
  steps.push_back(all);
  return steps;
}

// How often which rank was the best within which budget.
class Orders {
 public:
  Orders(const std::vector<double>& found, const std::vector<double>& costs) : costs_(costs), budgets_(budgets(costs)) {
    order_.resize(found.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    values_ = found;
    values_.push_back(0);  // before anything is found
    std::sort(values_.begin(), values_.end());
    for (const double each : found) {
      ranks_.push_back(static_cast<std::size_t>(std::upper_bound(values_.begin(), values_.end(), each) - values_.begin()) - 1);
    }
    times_.assign(budgets_.size(), std::vector<std::size_t>(values_.size(), 0));
  }

  std::vector<EffortPoint> points() {
    if (order_.size() <= kAllOrders) {
      do add_order();
      while (std::next_permutation(order_.begin(), order_.end()));
    } else {
      Random random(derive_seed(kSeed, "effort"));
      for (std::size_t i = 0; i < kDrawnOrders; ++i) {
        random.shuffle(order_);
        add_order();
      }
    }
    std::vector<EffortPoint> points;
    for (std::size_t i = 0; i < budgets_.size(); ++i) {
      const bool within = i > 0 && i + 1 < budgets_.size() && times_[i] == times_[i - 1] && times_[i] == times_[i + 1];
      if (!within) points.push_back(distribution(times_[i]).at(budgets_[i]));
    }
    return points;
  }

 private:
  void add_order() {
    ++orders_;
    double spent = 0;
    std::size_t best = 0;
    std::size_t done = 0;
    for (std::size_t budget = 0; budget < budgets_.size(); ++budget) {
      // Of the last budget, which is the sum of all in another order, no try is left out.
      while (done < order_.size() && spent + costs_[order_[done]] <= budgets_[budget] * (1 + kRounding)) {
        spent += costs_[order_[done]];
        best = std::max(best, ranks_[order_[done++]]);
      }
      ++times_[budget][best];
    }
  }

  Distribution distribution(const std::vector<std::size_t>& times) const {
    Distribution best{values_, {}};
    std::size_t sum = 0;
    for (const std::size_t each : times) {
      sum += each;
      best.shares.push_back(static_cast<double>(sum) / static_cast<double>(orders_));
    }
    return best;
  }

  const std::vector<double>& costs_;
  std::vector<double> budgets_, values_;         // values: sorted
  std::vector<std::size_t> order_, ranks_;       // ranks: of each try's value
  std::vector<std::vector<std::size_t>> times_;  // by budget and rank
  std::size_t orders_ = 0;
};

// Of one cell's stages that the attacker has done; none where a stage or its cost is not known.
std::optional<double> spent_by_attacker(const Results& results, const CellRow& row, const std::string& what) {
  double sum = 0;
  for (const auto& [name, key] : row.stages) {
    const auto stage = results.stages.find(key);
    if (stage == results.stages.end()) return std::nullopt;
    if (is_attackers(stage->second.kind)) sum += stage->second.spent(what);
  }
  return sum > 0 ? std::optional(sum) : std::nullopt;
}

std::optional<double> mean_spent(const Results& results, const CellGroup& cells, const std::string& what) {
  double sum = 0;
  for (const auto& row : cells.rows) {
    const auto spent = spent_by_attacker(results, row, what);
    if (!spent) return std::nullopt;
    sum += *spent;
  }
  return sum / static_cast<double>(cells.rows.size());
}

bool is_known(const CellGroup& cells, const std::string& harm) {
  return cells.metrics.contains(harm) && !cells.unknown.contains(harm) && cells.failed + cells.timeout == 0;
}

std::vector<EffortPoint> by_cost(const std::vector<EffortTry>& tries, const std::vector<double>& found,
                                 std::optional<double> EffortTry::*cost) {
  std::vector<double> costs;
  for (const auto& each : tries) {
    if (each.*cost) costs.push_back(*(each.*cost));
  }
  return costs.size() == tries.size() ? best_by_cost(found, costs) : std::vector<EffortPoint>();
}

EffortCurve curve_of(const ModelCells& cells, const std::string& sweep, const std::string& defense, const std::string& harm,
                     const ModelCells::Counts& counts) {
  EffortCurve curve;
  curve.defense = defense;
  for (const auto& attack : cells.tries(sweep)) {
    const auto* group = cells.group(attack, defense);
    if (group == nullptr) continue;
    if (!is_known(*group, harm)) {
      ++curve.unknown;
      continue;
    }
    curve.tries.push_back({attack, group->tried, group->metrics.at(harm).value, !counts || counts(*group),
                           mean_spent(cells.results(), *group, "seconds"), mean_spent(cells.results(), *group, "tokens")});
  }
  if (curve.tries.empty()) return curve;
  std::vector<double> found;
  for (const auto& each : curve.tries) found.push_back(each.counts ? each.harm : 0);
  curve.by_tries = best_by_tries(found);
  curve.by_seconds = by_cost(curve.tries, found, &EffortTry::seconds);
  curve.by_tokens = by_cost(curve.tries, found, &EffortTry::tokens);
  return curve;
}

// 1, 2, 4, ... below the number of tries.
std::vector<std::size_t> shown_tries(const SweepEffort& effort) {
  std::size_t most = 0;
  for (const auto& curve : effort.curves) most = std::max(most, curve.by_tries.size());
  std::vector<std::size_t> shown;
  for (std::size_t n = 1; n < most; n *= 2) shown.push_back(n);
  return shown;
}

std::string band(const EffortPoint& point) {
  return percent(point.found) + " (" + percent(point.low) + "-" + percent(point.high) + ")";
}

std::vector<TableCell> table_row(const EffortCurve& curve, const std::vector<std::size_t>& shown) {
  std::vector<TableCell> row = {{curve.defense}};
  for (const std::size_t n : shown) row.push_back({n <= curve.by_tries.size() ? band(curve.by_tries[n - 1]) : "-"});
  const auto beyond = std::count_if(curve.tries.begin(), curve.tries.end(), [](const EffortTry& each) { return !each.counts; });
  std::string all =
      curve.by_tries.empty() ? "-" : percent(curve.by_tries.back().found) + " of " + std::to_string(curve.tries.size());
  if (beyond > 0) all += ", " + std::to_string(beyond) + " do not count";
  if (curve.unknown > 0) all += ", " + std::to_string(curve.unknown) + " without a result";
  row.push_back({all});
  const auto* worst = curve.worst();
  row.push_back({worst == nullptr ? "-" : worst->attack});
  const bool timed = worst != nullptr && worst->seconds && !curve.by_seconds.empty();
  row.push_back({timed ? fixed(*worst->seconds, 1) + " of " + fixed(curve.by_seconds.back().spent, 1) : "-"});
  return row;
}

}  // namespace

const EffortTry* EffortCurve::worst() const {
  const EffortTry* most = nullptr;
  for (const auto& each : tries) {
    if (each.counts && (most == nullptr || each.harm > most->harm)) most = &each;
  }
  return most;
}

std::vector<EffortPoint> best_by_tries(std::vector<double> found) {
  std::sort(found.begin(), found.end());
  std::vector<EffortPoint> points;
  for (std::size_t n = 1; n <= found.size(); ++n) points.push_back(best_of(found, n).at(static_cast<double>(n)));
  return points;
}

std::vector<EffortPoint> best_by_cost(const std::vector<double>& found, const std::vector<double>& costs) {
  return found.empty() ? std::vector<EffortPoint>() : Orders(found, costs).points();
}

std::vector<SweepEffort> efforts(const ModelCells& cells, const std::string& harm, const ModelCells::Counts& counts) {
  std::vector<SweepEffort> all;
  if (harm.empty()) return all;  // no judge that calls anything harmful
  for (const auto& column : cells.attacks()) {
    if (!cells.is_sweep(column) || is_control(column)) continue;
    SweepEffort effort{column, harm, {}};
    for (const auto& defense : cells.defenses()) {
      EffortCurve curve = curve_of(cells, column, defense, harm, counts);
      if (!curve.tries.empty() || curve.unknown > 0) effort.curves.push_back(std::move(curve));
    }
    all.push_back(std::move(effort));
  }
  return all;
}

TextTable effort_table(const SweepEffort& effort) {
  TextTable table;
  const auto shown = shown_tries(effort);
  table.header = {"defense"};
  for (const std::size_t n : shown) table.header.push_back(n == 1 ? "1 try" : std::to_string(n) + " tries");
  for (const auto* last : {"all", "found by", "seconds"}) table.header.emplace_back(last);
  for (const auto& curve : effort.curves) table.rows.push_back(table_row(curve, shown));
  return table;
}

}  // namespace holdfast
