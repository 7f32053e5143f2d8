#include "report/results.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/json.h"
#include "judge/metrics.h"

namespace holdfast {
namespace {

constexpr char kWrapped[] = "none@";
constexpr std::uint64_t kBootstrapSeed = 1;

struct Row {
  std::string model, attack, defense, status, message;
  std::int64_t seed = 0;
  Json metrics, reports;
  double seconds = 0;
  std::string samples = {};  // key of its samples file
};

Row parse_row(const std::string& line, const std::string& place) {
  const Json json = parse_json(line, place);
  try {
    Row row{json.at("model"),
            json.at("attack"),
            json.at("defense"),
            json.at("status"),
            json.value("message", ""),
            json.at("seed"),
            json.value("metrics", Json::object()),
            json.value("reports", Json::object())};
    row.samples = json.value("stages", Json::object()).value("generate", "");
    row.seconds = json.value("cost", Json::object()).value("seconds", 0.0);
    return row;
  } catch (const Json::exception&) {
    throw Error(place +
                " is not a cell: expected \"model\", \"attack\", \"defense\", \"seed\" and \"status\" (docs/results.md)");
  }
}

std::vector<Row> read_rows(const fs::path& path) {
  const std::string text = read_file(path);
  std::vector<Row> rows;
  std::int64_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = text.find('\n', start);
    if (end == std::string::npos) break;  // a torn last line
    const std::string line = text.substr(start, end - start);
    ++number;
    if (!line.empty()) rows.push_back(parse_row(line, path.string() + ":" + std::to_string(number)));
    start = end + 1;
  }
  return rows;
}

std::vector<Row> latest_of_each_cell(std::vector<Row> rows) {
  std::map<std::tuple<std::string, std::string, std::string, std::int64_t>, std::size_t> places;
  std::vector<Row> kept;
  for (auto& row : rows) {
    const auto [place, fresh] = places.emplace(std::tuple(row.model, row.attack, row.defense, row.seed), kept.size());
    if (fresh) {
      kept.push_back(std::move(row));
    } else {
      kept[place->second] = std::move(row);
    }
  }
  return kept;
}

bool is_known(const Json& figure) { return !figure.at("value").is_null(); }

// The end of an interval that passed the largest number.
double bound(const Json& cell, const char* name, double infinite) {
  return cell.at(name).is_null() ? infinite : cell.at(name).get<double>();
}

void add_metric(PooledMetric& pooled, const Json& cell) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const double value = cell.at("value");
  const std::int64_t n = cell.at("n");
  const double low = bound(cell, "low", -kInfinite), high = bound(cell, "high", kInfinite);
  const bool first = pooled.seeds == 0;
  pooled.least = first ? value : std::min(pooled.least, value);
  pooled.most = first ? value : std::max(pooled.most, value);
  pooled.low = first ? low : std::min(pooled.low, low);
  pooled.high = first ? high : std::max(pooled.high, high);
  // A sum until finish(). A share of n is a whole number of successes, which its double only nearly gives back.
  const double sum = value * static_cast<double>(n);
  const double whole = std::round(sum);
  pooled.value += std::abs(sum - whole) < 1e-6 ? whole : sum;
  pooled.n += n;
  ++pooled.seeds;
}

void add_row(CellGroup& group, const Row& row) {
  group.seconds += row.seconds;
  if (row.status != "ok") {
    ++(row.status == "timeout" ? group.timeout : group.failed);
    if (std::count(group.messages.begin(), group.messages.end(), row.message) == 0) group.messages.push_back(row.message);
    return;
  }
  ++group.ok;
  for (const auto& [id, cell] : row.metrics.items()) {
    if (is_known(cell)) {
      add_metric(group.metrics[id], cell);
    } else {
      ++group.unknown[id];
    }
  }
  for (const auto& [name, cell] : row.reports.items()) {
    PooledReport& report = group.reports[name];
    ++(is_known(cell) ? report.seeds : report.unknown);
    if (is_known(cell)) report.value += cell.at("value").get<double>();
  }
}

// A sum over cells becomes a mean; of perplexities, whose cells are geometric means, a geometric one.
void finish(PooledMetric& metric, const std::string& id) {
  const double sum = metric.value;
  metric.value = metric.n == 0 ? 0 : sum / static_cast<double>(metric.n);
  if (!metric.outcomes.empty()) {
    const Grid& grid = metric.outcomes.grid;
    const Interval interval = are_shares(id, grid) ? rate_interval(grid) : mean_interval(grid, kBootstrapSeed);
    const auto scaled = [&](double value) { return is_log_scale(id) ? std::exp(value) : value; };
    metric.value = scaled(interval.value);
    metric.low = scaled(interval.low);
    metric.high = scaled(interval.high);
  } else if (metric.least >= 0 && metric.most <= 1) {
    const auto pooled = wilson(sum, metric.n);
    metric.low = pooled.low;
    metric.high = pooled.high;
  }
}

void finish(CellGroup& group) {
  group.seconds /= static_cast<double>(group.ok + group.failed + group.timeout);
  for (auto& [id, metric] : group.metrics) finish(metric, id);
  for (auto& [name, report] : group.reports) {
    if (report.seeds > 0) report.value /= static_cast<double>(report.seeds);
  }
}

// Cells that share their replies share a samples file, so each is read once.
class Samples {
 public:
  explicit Samples(fs::path folder) : folder_(std::move(folder)) {}

  void add(const Row& row) {
    if (row.status != "ok" || row.samples.empty()) return;
    auto [known, fresh] = files_.try_emplace(row.samples);
    if (fresh) known->second = read_samples(folder_ / (row.samples + ".jsonl"));
    auto& group = groups_[{row.model, row.attack, row.defense}];
    for (const auto& [id, values] : known->second) {
      const auto figure = row.metrics.find(id);
      if (figure == row.metrics.end() || is_known(*figure)) group[id][row.seed] = values;
    }
  }

  void give(CellGroup& group) const {
    const auto found = groups_.find({group.model, group.attack, group.defense});
    if (found == groups_.end()) return;
    for (auto& [id, metric] : group.metrics) {
      const auto seeds = found->second.find(id);
      if (seeds != found->second.end()) metric.outcomes = outcomes_of(seeds->second);
    }
  }

 private:
  fs::path folder_;
  std::map<std::string, std::map<std::string, SeedOutcomes>> files_;  // by key and metric
  std::map<std::tuple<std::string, std::string, std::string>, std::map<std::string, std::map<std::int64_t, SeedOutcomes>>>
      groups_;
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

CellGroup& group_of(Results& results, const Row& row) {
  for (auto& group : results.groups) {
    if (group.model == row.model && group.attack == row.attack && group.defense == row.defense) return group;
  }
  auto& group = results.groups.emplace_back();
  group.model = row.model;
  group.attack = row.attack;
  group.defense = row.defense;
  return group;
}

}  // namespace

std::string wrapped_attack(const std::string& attack) {
  return attack.starts_with(kWrapped) ? attack.substr(sizeof(kWrapped) - 1) : "";
}

const CellGroup* Results::find(const std::string& model, const std::string& attack, const std::string& defense) const {
  for (const auto& group : groups) {
    if (group.model == model && group.attack == attack && group.defense == defense) return &group;
  }
  return nullptr;
}

Results read_results(const fs::path& folder) {
  const fs::path path = folder / "cells.jsonl";
  if (!fs::exists(path)) {
    throw Error(folder.string() +
                " holds no cells.jsonl: give the results folder of a scenario, such as results/quickstart, after holdfast run");
  }
  Results results;
  Samples samples(folder / "samples");
  for (const auto& row : latest_of_each_cell(read_rows(path))) {
    add_once(results.models, row.model);
    add_once(results.attacks, row.attack);
    add_once(results.defenses, row.defense);
    try {
      add_row(group_of(results, row), row);
      samples.add(row);
    } catch (const Json::exception&) {
      throw Error(path.string() + " holds a metric or report without \"value\" and \"n\" (docs/results.md)");
    }
  }
  for (auto& group : results.groups) {
    samples.give(group);
    finish(group);
  }
  results.attacks = ordered_attacks(results.attacks);
  put_none_first(results.defenses);
  return results;
}

}  // namespace holdfast
