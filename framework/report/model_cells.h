// One board of the results: one model, and the attacks of one threat model.
#pragma once

#include <optional>
#include <string>
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
  /// Those that the model has cells of, in the results' order: "none", and the attacks of the threat model.
  const std::vector<std::string>& attacks() const { return attacks_; }
  /// Those that stand against one of these attacks, the undefended control first.
  const std::vector<std::string>& defenses() const { return defenses_; }
  /// Ids of all metrics that a cell has, sorted.
  const std::vector<std::string>& metrics() const { return metrics_; }

  /// Null when there are no such cells.
  const CellGroup* group(const std::string& attack, const std::string& defense) const;
  /// Null when no such cell has the metric.
  const PooledMetric* metric(const std::string& attack, const std::string& defense, const std::string& id) const;
  std::optional<double> value(const std::string& attack, const std::string& defense, const std::string& id) const;
  /// Seeds where the metric is not finite.
  std::int64_t unknown_seeds(const std::string& attack, const std::string& defense, const std::string& id) const;

 private:
  const Results& results_;
  std::string model_, threat_model_;
  std::vector<std::string> attacks_, defenses_, metrics_;
};

/// The boards of the results. Served systems and weights in the attacker's hands are never ranked together: a model has a board
/// for each of the two that it has attacks of.
std::vector<ModelCells> boards(const Results& results);

/// Whether a column shows an untuned model: "none", or the wrapped control of an attack.
bool is_control(const std::string& attack);

}  // namespace holdfast
