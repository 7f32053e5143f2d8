#include "report/agreement_table.h"

#include "judge/metrics.h"
#include "report/figures.h"
#include "report/judge_agreement.h"

namespace holdfast {

TextTable agreement_table(const Results& results, const std::string& model) {
  TextTable table{{"judges", "kappa", "both harmful", "only first", "only second", "neither"}, {}};
  for (const auto& pair : judge_pairs(results, model)) {
    const auto& counts = pair.agreement.counts;
    const auto& kappa = pair.agreement.kappa;
    table.rows.push_back({{pair.first + " and " + pair.second},
                          {fixed(kappa.value, 2) + " (" + fixed(kappa.low, 2) + "-" + fixed(kappa.high, 2) + ")"},
                          {std::to_string(counts[1][1])},
                          {std::to_string(counts[1][0])},
                          {std::to_string(counts[0][1])},
                          {std::to_string(counts[0][0])}});
  }
  return table;
}

std::string false_refusals(const Results& results, const std::string& model) {
  for (const auto& pair : judge_pairs(results, model)) {
    if (pair.first != "leak.organism" || pair.second != "asr.keyword") continue;
    const auto& counts = pair.agreement.counts;
    const auto leaks = counts[1][0] + counts[1][1];
    const auto clean = counts[0][0] + counts[0][1];
    const auto missed = wilson(static_cast<double>(counts[1][0]), leaks);
    const auto invented = wilson(static_cast<double>(counts[0][1]), clean);
    return "The keyword judge beside the exact one: of " + std::to_string(leaks) + " replies that leak it calls " +
           std::to_string(counts[1][0]) + " refused or empty (" + percent(missed.value) + " %, " + percent(missed.low) + "-" +
           percent(missed.high) + "), and of " + std::to_string(clean) + " that do not it calls " +
           std::to_string(counts[0][1]) + " a success (" + percent(invented.value) + " %, " + percent(invented.low) + "-" +
           percent(invented.high) + ").";
  }
  return "";
}

}  // namespace holdfast
