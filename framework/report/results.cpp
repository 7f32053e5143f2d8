#include "report/results.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "results/cell_row.h"

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

void finish(CellGroup& group) {
  group.seconds /= static_cast<double>(group.ok + group.failed + group.timeout);
  for (auto& [id, metric] : group.metrics) finish(metric, id);
  for (auto& [name, report] : group.reports) finish(report);
}

// The samples of a group's cells. Cells that share their replies share a samples file: it is read once, and let go when its
// last cell has had it.
class Samples {
 public:
  explicit Samples(fs::path folder) : folder_(std::move(folder)) {}

  void expect(std::size_t group, const CellRow& row) {
    const auto key = row.stages.find("generate");
    if (!row.ok() || key == row.stages.end()) return;
    SeedSamples& seed = seeds_[group][row.seed];
    seed.key = key->second;
    for (const auto& [id, figure] : row.metrics) {
      if (std::isnan(figure.value)) seed.left_out.insert(id);
    }
    ++readers_[seed.key];
  }

  void give(std::size_t place, CellGroup& group) {
    const auto expected = seeds_.find(place);
    if (expected == seeds_.end()) return;
    std::map<std::string, std::map<std::int64_t, SeedOutcomes>> by_metric;
    for (const auto& [number, seed] : expected->second) {
      const auto file = take(seed.key);
      for (const auto& [id, values] : *file) {
        if (!seed.left_out.contains(id) && group.metrics.contains(id)) by_metric[id][number] = values;
      }
    }
    for (const auto& [id, seeds] : by_metric) group.metrics.at(id).outcomes = outcomes_of(seeds);
    seeds_.erase(expected);
  }

 private:
  using File = std::shared_ptr<const std::map<std::string, SeedOutcomes>>;  // by metric
  struct SeedSamples {
    std::string key;
    std::set<std::string> left_out;  // metrics whose figure is not finite
  };

  File take(const std::string& key) {
    File& file = files_[key];
    if (!file) file = std::make_shared<const std::map<std::string, SeedOutcomes>>(outcomes_by_metric(folder_, key));
    File taken = file;
    if (--readers_.at(key) == 0) files_.erase(key);
    return taken;
  }

  fs::path folder_;
  std::map<std::size_t, std::map<std::int64_t, SeedSamples>> seeds_;  // by the group's place
  std::map<std::string, std::int64_t> readers_;                       // cells that still want the file, by key
  std::map<std::string, File> files_;
};

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

void put_none_first(std::vector<std::string>& names) {
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name == "none"; });
}

// "none", then each attack with its wrapped control before it.
std::vector<std::string> ordered_attacks(const std::vector<std::string>& names) {
  std::vector<std::string> ordered;
  for (const auto& name : names) {
    if (!wrapped_attack(name).empty()) continue;
    if (std::count(names.begin(), names.end(), kWrapped + name) > 0) add_once(ordered, kWrapped + name);
    add_once(ordered, name);
  }
  for (const auto& name : names) add_once(ordered, name);
  put_none_first(ordered);
  return ordered;
}

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

Results read_results(const fs::path& folder) {
  const fs::path file = cells_file(folder);
  if (!fs::exists(file)) {
    throw Error(folder.string() +
                " holds no cells.jsonl: give the results folder of a scenario, such as results/quickstart, after holdfast run");
  }
  Results results;
  results.folder = folder;
  Samples samples(folder);
  for (const auto& row : latest_of_each_cell(file)) {
    add_once(results.models, row.model);
    add_once(results.attacks, row.attack);
    add_once(results.defenses, row.defense);
    const std::size_t place = results.place(row.model, row.attack, row.defense);
    add_row(results.groups[place], row);
    samples.expect(place, row);
  }
  for (std::size_t place = 0; place < results.groups.size(); ++place) {
    samples.give(place, results.groups[place]);
    finish(results.groups[place]);
  }
  results.attacks = ordered_attacks(results.attacks);
  put_none_first(results.defenses);
  return results;
}

}  // namespace holdfast
