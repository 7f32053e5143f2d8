// What an attacker who tries several settings finds for his effort: the best harm among the first tries of a sweep, against
// their number and against what they cost him. Nobody knows the order in which he tries, so it is the mean over all orders,
// with a band that holds 95 % of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/model_cells.h"
#include "report/text_table.h"

namespace holdfast {

/// One try against one defense; figures are means over seeds.
struct EffortTry {
  std::string attack;
  Json tried;
  double harm = 0;
  bool counts = true;               // or its cell is outside the utility bound, and this try found nothing
  std::optional<double> seconds{};  // of the attacker's stages (report/cost.h). None where a stage is not known
  std::optional<double> tokens{};   // trained on there
};

struct EffortPoint {
  double spent = 0;  // tries, seconds or tokens
  double found = 0;  // best harm so far: 0 before a try that counts
  double low = 0, high = 0;
};

struct EffortCurve {
  std::string defense;
  std::vector<EffortTry> tries;       // whose harm is known in every seed
  std::int64_t unknown = 0;           // others: failed, or with a figure that is not finite
  std::vector<EffortPoint> by_tries;  // after each number of them
  /// At budgets from the cheapest try to all of them, where a step ends; empty where a cost is not known.
  std::vector<EffortPoint> by_seconds, by_tokens;

  /// The try that found most, the first of equal ones; null where none counts.
  const EffortTry* worst() const;
};

struct SweepEffort {
  std::string sweep;                // its column
  std::string harm;                 // id of the metric
  std::vector<EffortCurve> curves;  // of each defense that it was tried against
};

/// Of every sweep of the board that is no control. `counts`: which cells are within the utility bound (Ranking::counts).
std::vector<SweepEffort> efforts(const ModelCells& cells, const std::string& harm, const ModelCells::Counts& counts = {});

/// The best of n of these, for each n: exactly, as draws without replacement.
std::vector<EffortPoint> best_by_tries(std::vector<double> found);
/// The best of what is done within a budget: over all orders of up to six tries, over a thousand drawn ones of more. Costs are
/// above 0.
std::vector<EffortPoint> best_by_cost(const std::vector<double>& found, const std::vector<double>& costs);

/// A row a defense: what is found after 1, 2, 4, ... and all tries, and which try found it.
TextTable effort_table(const SweepEffort& effort);

}  // namespace holdfast
