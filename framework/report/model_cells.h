// One board of the results: one model, and the attacks of one threat model.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "report/results.h"

namespace holdfast {

class ModelCells {
 public:
  /// `results` must outlive it.
  ModelCells(const Results& results, std::string model, std::string threat_model = "api");

  const Results& results() const { return results_; }
  const std::string& model() const { return model_; }
  const std::string& threat_model() const { return threat_model_; }
  /// The columns: "none", and the attacks of the threat model, in the results' order. A sweep is one column, in the place of
  /// its first try.
  const std::vector<std::string>& attacks() const { return attacks_; }
  /// The attacks behind a column: the tries of a sweep, else the column itself.
  const std::vector<std::string>& tries(const std::string& column) const { return tries_.at(column); }
  bool has_sweeps() const { return !sweeps_.empty(); }
  bool is_sweep(const std::string& column) const { return sweeps_.contains(column); }
  /// Those that stand against one of these attacks, the undefended control first.
  const std::vector<std::string>& defenses() const { return defenses_; }
  /// Ids of all metrics that a cell has, sorted.
  const std::vector<std::string>& metrics() const { return metrics_; }

  /// The same board, in which a sweep's column shows for each defense the try of the largest `harm` among those that count.
  /// One whose harm is not known anywhere shows its first try. A new board shows its first harm metric, of all tries.
  using Counts = std::function<bool(const CellGroup&)>;
  ModelCells by(const std::string& harm, const Counts& counts = {}) const;

  /// Null when there are no such cells. `attack` is a column or a try.
  const CellGroup* group(const std::string& attack, const std::string& defense) const;
  /// Null when no such cell has the metric.
  const PooledMetric* metric(const std::string& attack, const std::string& defense, const std::string& id) const;
  std::optional<double> value(const std::string& attack, const std::string& defense, const std::string& id) const;
  /// Seeds where the metric is not finite.
  std::int64_t unknown_seeds(const std::string& attack, const std::string& defense, const std::string& id) const;

 private:
  void choose(const std::string& harm, const Counts& counts);
  const CellGroup* worst_try(const std::string& sweep, const std::string& defense, const std::string& harm,
                             const Counts& counts) const;

  const Results& results_;
  std::string model_, threat_model_;
  std::vector<std::string> attacks_, defenses_, metrics_;
  std::map<std::string, std::vector<std::string>> tries_;                  // by column
  std::set<std::string> sweeps_;                                           // columns that are some
  std::map<std::pair<std::string, std::string>, const CellGroup*> shown_;  // of a sweep, by column and defense
};

/// The boards of the results. Served systems and weights in the attacker's hands are never ranked together: a model has a board
/// for each of the two that it has attacks of.
std::vector<ModelCells> boards(const Results& results);

/// Whether a column shows an untuned model: "none", or the wrapped control of an attack.
bool is_control(const std::string& attack);

}  // namespace holdfast
