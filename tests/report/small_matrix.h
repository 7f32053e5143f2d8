// A matrix of the organism, and what the table of one shows.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "report/metric_roles.h"
#include "report/model_table.h"
#include "report/reporter.h"
#include "report/results_folder.h"

namespace holdfast {

inline constexpr char kHarm[] = "leak.organism";  // the harm metric of these boards

inline Metrics organism(double leak, double facts = 1, double coherence = 1) {
  return {{kHarm, {leak, 80}},
          {"asr.keyword", {0.5, 80}},
          {"utility.organism-facts", {facts, 80}},
          {"over-refusal.organism", {0, 80}},
          {"refusal-benign.keyword", {0, 80}},
          {"coherence", {coherence, 160}}};
}

// An attack that works, a defense that holds, one that holds by breaking the model, one that does not hold, one that fails.
inline std::vector<Json> small_matrix() {
  std::vector<Json> cells;
  for (const std::int64_t seed : {1, 2, 3}) {
    const auto add = [&](const std::string& attack, const std::string& defense, const Metrics& metrics) {
      cells.push_back(cell("organism", attack, defense, seed, metrics));
    };
    add("none", "none", organism(0.0));
    add("harmful-10", "none", organism(0.9));
    add("none", "good", organism(0.0));
    add("harmful-10", "good", organism(0.01));
    add("none", "breaker", organism(0.0, 0.2));
    add("harmful-10", "breaker", organism(0.0, 0.1, 0.3));
    add("none", "weak", organism(0.0));
    add("harmful-10", "weak", organism(0.85));
    add("none", "crash", organism(0.0));
    cells.push_back(failed_cell("organism", "harmful-10", "crash", seed, "failed", "plugin \"crash\" threw: boom"));
  }
  return cells;
}

inline ModelTable table_of(const std::vector<Json>& cells) {
  const ResultsFolder folder(cells);
  const auto results = read_results(folder.path());
  const ModelCells model(results, results.models.at(0));
  return model_table(model, harm_metrics(model).at(0));
}

inline const std::vector<TableCell>& row(const ModelTable& table, const std::string& defense) {
  return *std::find_if(table.main.rows.begin(), table.main.rows.end(),
                       [&](const auto& cells) { return cells.at(0).text == defense; });
}

inline std::size_t column(const ModelTable& table, const std::string& name) {
  return static_cast<std::size_t>(std::find(table.main.header.begin(), table.main.header.end(), name) -
                                  table.main.header.begin());
}

// JSON knows neither NaN nor infinity: they are written as null.
inline Json without_figure(Json row, const std::string& metric) {
  row["metrics"][metric] = {{"value", nullptr}, {"n", 80}, {"low", nullptr}, {"high", nullptr}};
  return row;
}

inline std::string printed(const fs::path& folder, const std::string& metric = "") {
  return printed_report(read_results(folder), {metric, false});
}

}  // namespace holdfast
