#include "report/results.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "results/sample.h"
namespace holdfast {
namespace {

constexpr char kWrapped[] = "none@";

// In the file's order; a later row of a cell stands in the place of the former.
std::vector<CellRow> latest_of_each_cell(const fs::path& file) {
  std::map<std::tuple<std::string, std::string, std::string, std::int64_t>, std::size_t> places;
  std::vector<CellRow> kept;
  read_cell_rows(file, [&](CellRow row) {
    const auto [place, fresh] = places.emplace(std::tuple(row.model, row.attack, row.defense, row.seed), kept.size());
    if (fresh) {
      kept.push_back(std::move(row));
    } else {
      kept[place->second] = std::move(row);
    }
  });
  return kept;
}

double report_value(const Json& report) {
  const Json& value = report.at("value");
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

void add_row(CellGroup& group, const CellRow& row) {
  group.threat_model = row.threat_model;
  group.sweep = row.sweep;
  group.tried = row.tried;
  group.seconds += row.seconds;
  group.defender_rows = std::max(group.defender_rows, row.defender_rows);
  if (!row.ok()) {
    ++(row.status == "timeout" ? group.timeout : group.failed);
    if (std::count(group.messages.begin(), group.messages.end(), row.message) == 0) group.messages.push_back(row.message);
    return;
  }
  ++group.ok;
  for (const auto& [id, figure] : row.metrics) {
    if (std::isnan(figure.value)) {
      ++group.unknown[id];
    } else {
      add(group.metrics[id], figure);
    }
  }
  for (const auto& [name, report] : row.reports.items()) add(group.reports[name], report_value(report));
}

void finish_group(CellGroup& group) {
  group.seconds /= static_cast<double>(group.ok + group.failed + group.timeout);
  for (auto& [id, metric] : group.metrics) finish(metric, id);
  for (auto& [name, report] : group.reports) finish(report);
  std::sort(group.rows.begin(), group.rows.end(), [](const RunRow& a, const RunRow& b) { return a.seed < b.seed; });
}

// The outcomes behind a group's metrics. Of a cell's figures that are not finite none stands.
void take_samples(CellGroup& group) {
  std::map<std::int64_t, SampleOutcomes> seeds;
  for (const auto& row : group.rows) {
    const auto key = row.stages.find("generate");
    if (!row.ok() || key == row.stages.end()) continue;
    SampleOutcomes& samples = seeds[row.seed] = read_sample_outcomes(samples_file(row.folder, key->second));
    for (const auto& [id, figure] : row.metrics) {
      if (std::isnan(figure.value)) samples.columns.erase(id);
    }
  }
  for (auto& [id, metric] : group.metrics) metric.outcomes = outcomes_of(id, seeds);
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

void put_none_first(std::vector<std::string>& names) {
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name == "none"; });
}

// "none", then each attack with its wrapped control before it; before the tries of a sweep the controls that they share.
std::vector<std::string> ordered_attacks(const std::vector<std::string>& names,
                                         const std::map<std::string, std::string>& sweeps) {
  const auto column = [&](const std::string& name) {
    const auto sweep = sweeps.find(name);
    return sweep == sweeps.end() ? name : sweep->second;
  };
  std::map<std::string, std::vector<std::string>> controls;  // by the attack's column
  for (const auto& name : names) {
    if (!wrapped_attack(name).empty()) controls[wrapped_attack(column(name))].push_back(name);
  }
  std::vector<std::string> ordered;
  for (const auto& name : names) {
    if (!wrapped_attack(name).empty()) continue;
    for (const auto& control : controls[column(name)]) add_once(ordered, control);
    add_once(ordered, name);
  }
  for (const auto& name : names) add_once(ordered, name);
  put_none_first(ordered);
  return ordered;
}

std::string cell_name(const CellRow& row) {
  return "model " + in_quotes(row.model) + ", attack " + in_quotes(row.attack) + ", defense " + in_quotes(row.defense) +
         ", seed " + std::to_string(row.seed);
}

// The facts of several runs as one's.
void join_facts(RunFacts& all, const fs::path& folder, const RunFacts& facts, const fs::path& first) {
  const std::string place = folder.string();
  if (facts.definitions.empty() || all.definitions.empty()) {
    throw Error(
        (all.definitions.empty() ? first.string() : place) +
        " does not say what its figures are of (run.json is missing or of an older version): run its scenario again, which "
        "computes nothing that is stored, before it stands on one board with others");
  }
  for (const auto& [name, digest] : facts.definitions) {
    const auto [known, fresh] = all.definitions.emplace(name, digest);
    if (!fresh && known->second != digest) {
      throw Error(
          "the " + name + " of " + place + " is not that of " + first.string() +
          ": it has another revision, other settings or other data, and figures of two kinds do not stand on one board");
    }
  }
  if (to_json(facts.board) != to_json(all.board) || facts.prices != all.prices) {
    throw Error(place + " and " + first.string() +
                " have other rules of the board ([leaderboard] or [prices]); give both scenarios the same and run them again");
  }
  all.tasks.insert(facts.tasks.begin(), facts.tasks.end());
  all.samples.insert(facts.samples.begin(), facts.samples.end());
  all.scenario += " + " + facts.scenario;
}

// Rows of one run after those of the runs before it. A cell that a run before has made of the same stages is there already.
class Runs {
 public:
  Results take(const std::vector<fs::path>& folders) {
    for (const auto& folder : folders) add(folder);
    for_each_number(results_.groups.size(), [&](std::size_t place) {
      take_samples(results_.groups[place]);
      finish_group(results_.groups[place]);
    });
    results_.attacks = ordered_attacks(results_.attacks, sweeps_);
    put_none_first(results_.defenses);
    return std::move(results_);
  }

 private:
  void add(const fs::path& folder) {
    const fs::path file = cells_file(folder);
    if (!fs::exists(file)) {
      throw Error(
          folder.string() +
          " holds no cells.jsonl: give the results folder of a scenario, such as results/quickstart, after holdfast run");
    }
    RunFacts facts = read_run_facts(folder);
    if (results_.folders.empty()) {
      results_.facts = std::move(facts);
    } else {
      join_facts(results_.facts, folder, facts, results_.folders.front());
    }
    results_.folders.push_back(folder);
    for (auto& row : latest_of_each_cell(file)) add(folder, std::move(row));
    read_stage_rows(folder, [&](StageRow stage) { results_.stages.emplace(stage.key, std::move(stage)); });
  }

  void add(const fs::path& folder, CellRow row) {
    const auto [known, fresh] = stages_.emplace(std::tuple(row.model, row.attack, row.defense, row.seed), row.stages);
    if (!fresh && known->second == row.stages) return;
    if (!fresh) {
      throw Error(folder.string() + " has another cell of " + cell_name(row) +
                  " than a run before it, made of other stages; leave one of the two runs out");
    }
    add_once(results_.models, row.model);
    add_once(results_.attacks, row.attack);
    add_once(results_.defenses, row.defense);
    if (!row.sweep.empty()) sweeps_[row.attack] = row.sweep;
    CellGroup& group = results_.groups[results_.place(row.model, row.attack, row.defense)];
    add_row(group, row);
    group.rows.push_back({std::move(row), folder});
  }

  Results results_;
  std::map<std::string, std::string> sweeps_;  // by the attack that is a try
  std::map<std::tuple<std::string, std::string, std::string, std::int64_t>, std::map<std::string, std::string>>
      stages_;  // of cells
};

}  // namespace

std::string wrapped_attack(const std::string& attack) {
  return attack.starts_with(kWrapped) ? attack.substr(sizeof(kWrapped) - 1) : "";
}

const CellGroup* Results::find(const std::string& model, const std::string& attack, const std::string& defense) const {
  const auto found = places_.find({model, attack, defense});
  return found == places_.end() ? nullptr : &groups[found->second];
}

std::size_t Results::place(const std::string& model, const std::string& attack, const std::string& defense) {
  const auto [found, fresh] = places_.emplace(std::tuple(model, attack, defense), groups.size());
  if (fresh) {
    auto& group = groups.emplace_back();
    group.model = model;
    group.attack = attack;
    group.defense = defense;
  }
  return found->second;
}

Results read_results(const fs::path& folder) { return read_results(std::vector<fs::path>{folder}); }

Results read_results(const std::vector<fs::path>& folders) { return Runs().take(folders); }

}  // namespace holdfast
