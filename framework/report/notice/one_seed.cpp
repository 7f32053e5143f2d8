#include "report/notice/one_seed.h"

#include <algorithm>
#include <cmath>

#include "results/sample.h"

namespace holdfast {
namespace {

PooledMetric one_seed(const std::string& id, const CellRow& row, const std::map<std::int64_t, SampleOutcomes>& samples) {
  PooledMetric one;
  add(one, row.metrics.at(id));
  one.outcomes = outcomes_of(id, samples);
  finish(one, id);
  return one;
}

void take(CellGroup& group, const CellGroup& all, const RunRow& row) {
  group.threat_model = all.threat_model;
  group.sweep = all.sweep;
  group.tried = all.tried;
  group.seconds = row.seconds;
  group.defender_rows = row.defender_rows;
  group.rows = {row};
  if (!row.ok()) {
    ++(row.status == "timeout" ? group.timeout : group.failed);
    group.messages = {row.message};
    return;
  }
  group.ok = 1;
  const auto generate = row.stages.find("generate");
  std::map<std::int64_t, SampleOutcomes> samples;
  if (generate != row.stages.end()) samples[row.seed] = read_sample_outcomes(samples_file(row.folder, generate->second));
  for (const auto& [id, figure] : row.metrics) {
    if (std::isnan(figure.value)) {
      group.unknown[id] = 1;
    } else {
      group.metrics[id] = one_seed(id, row, samples);
    }
  }
}

}  // namespace

Results of_one_seed(const Results& results, const std::string& model, std::int64_t seed) {
  Results one;
  one.folders = results.folders;
  one.facts = results.facts;
  one.stages = results.stages;
  one.models = {model};
  one.attacks = results.attacks;
  one.defenses = results.defenses;
  for (const auto& group : results.groups) {
    if (group.model != model) continue;
    const auto row = std::find_if(group.rows.begin(), group.rows.end(), [&](const CellRow& each) { return each.seed == seed; });
    if (row != group.rows.end()) take(one.groups[one.place(group.model, group.attack, group.defense)], group, *row);
  }
  return one;
}

}  // namespace holdfast
