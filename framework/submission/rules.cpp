#include "submission/rules.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "judge/customer.h"
#include "report/audit.h"
#include "results/sample.h"

namespace holdfast {
namespace {

constexpr std::size_t kLeastSeeds = 5;
constexpr double kSameFigure = 1e-9;

std::set<std::string> names(const Json& scenario, const char* list) {
  std::set<std::string> found;
  for (const auto& each : scenario.value(list, Json::array())) found.insert(each.at("name").get<std::string>());
  return found;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// An entry's cells, asked for by their names.
class Cells {
 public:
  explicit Cells(const Entry& entry)
      : scenario_(entry.scenario()), seeds_(scenario_.at("seeds").get<std::vector<std::int64_t>>()) {
    for (const auto& row : entry.rows) {
      rows_.insert(name_of(row));
      if (row.threat_model == "weights" && row.attack != "none") holds_weights_.insert(row.defense);
    }
  }

  const std::vector<std::int64_t>& seeds() const { return seeds_; }

  // Of each seed that the scenario declares, every cell that one seed has.
  std::vector<Broken> seeds_left_out() const {
    for (const auto& row : rows_) {
      for (const auto seed : seeds_) {
        const CellName wanted{row.model, row.attack, row.defense, seed};
        if (!rows_.contains(wanted))
          return {{kSeeds, "there is no row of " + to_string(wanted) + ", a seed that the scenario declares"}};
      }
      if (std::find(seeds_.begin(), seeds_.end(), row.seed) == seeds_.end()) {
        return {{kSeeds, "there is a row of " + to_string(row) + ", a seed that the scenario does not declare"}};
      }
    }
    return {};
  }

  std::vector<Broken> controls() const {
    for (const auto& model : names(scenario_, "models")) {
      for (const auto& attack : names(scenario_, "attacks")) {
        if (auto broken = missing(model, attack, "none", "the undefended model under an attack")) return {*broken};
      }
      for (const auto& defense : names(scenario_, "defenses")) {
        if (auto broken = missing(model, "none", defense, "a defense without an attack")) return {*broken};
      }
    }
    return {};
  }

  // A defense stands against every attack on a served model, and against all or none on bare weights.
  std::vector<Broken> left_out() const {
    for (const auto& model : names(scenario_, "models")) {
      for (const auto& attack : scenario_.at("attacks")) {
        const bool weights = attack.at("threat_model") == "weights";
        for (const auto& defense : names(scenario_, "defenses")) {
          const CellName wanted{model, attack.at("name"), defense, seeds_.front()};
          if (rows_.contains(wanted) || (weights && !holds_weights_.contains(defense))) continue;
          return {{kAllCells,
                   "there is no row of " + to_string(wanted) + ": a defense is measured under every attack of its scenario"}};
        }
      }
    }
    return {};
  }

 private:
  std::optional<Broken> missing(const std::string& model, const std::string& attack, const std::string& defense,
                                const std::string& what) const {
    const CellName wanted{model, attack, defense, seeds_.front()};
    if (rows_.contains(wanted)) return std::nullopt;
    return Broken{kControls, "there is no row of " + to_string(wanted) + ", a control: " + what};
  }

  const Json& scenario_;
  std::vector<std::int64_t> seeds_;
  std::set<CellName> rows_;
  std::set<std::string> holds_weights_;  // defenses that stand where the attacker has the weights
};

std::vector<Broken> too_few_seeds(const Cells& cells) {
  if (cells.seeds().size() >= kLeastSeeds) return {};
  return {{kSeeds, "the scenario declares " + std::to_string(cells.seeds().size()) + " seeds, expected at least " +
                       std::to_string(kLeastSeeds)}};
}

std::vector<Broken> other_than(const Json& board, const Json& scenario) {
  Json wanted = without_places(board), found = without_places(scenario);
  for (auto* each : {&wanted, &found}) {
    each->erase("defenses");
    each->erase("moderators");
  }
  const auto parts = differing(wanted, found);
  if (parts.empty()) return {};
  return {{kClosedDivision, "the scenario differs from the board's in " + listed(parts) +
                                ": the closed division leaves [[defense]] to the entry and nothing else"}};
}

std::vector<Broken> findings(const Entry& entry) {
  std::vector<Broken> broken;
  const Results results = read_results(entry.folder);
  for (const auto& board : boards(results)) {
    for (const auto& finding : audit(board)) broken.push_back({finding.rule, finding.defense + ": " + finding.sentence});
  }
  return broken;
}

std::map<std::string, Metric> sampled_metrics(const fs::path& folder, const std::string& key) {
  std::vector<std::map<std::string, double>> outcomes;
  read_samples(samples_file(folder, key), [&](const Sample& sample) { outcomes.push_back(sample.outcomes); });
  return aggregate(outcomes);
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= kSameFigure; }

std::optional<std::string> difference(const CellRow& row, const std::map<std::string, Metric>& sampled) {
  std::set<std::string> ids;
  for (const auto& [id, unused] : row.metrics) ids.insert(id);
  for (const auto& [id, unused] : sampled) ids.insert(id);
  ids.erase(kLearned);  // is of rows and no replies
  for (const auto& id : ids) {
    const auto said = row.metrics.find(id);
    const auto shown = sampled.find(id);
    const std::string begin = "the row of " + to_string(name_of(row)) + " has " + id;
    if (said == row.metrics.end()) return begin + " nowhere, and its samples have it";
    if (shown == sampled.end()) return begin + ", and its samples do not";
    if (said->second.n != shown->second.n || !same(said->second.value, shown->second.value)) {
      return begin + " " + Json(said->second.value).dump() + " of " + std::to_string(said->second.n) +
             ", and its samples give " + Json(shown->second.value).dump() + " of " + std::to_string(shown->second.n);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(const Broken& broken) { return broken.rule + ": " + broken.sentence; }

std::vector<Broken> broken_samples(const Entry& entry) {
  std::map<std::string, std::map<std::string, Metric>> known;
  for (const auto& row : entry.rows) {
    if (!row.ok()) continue;
    const auto key = row.stages.find("generate");
    if (key == row.stages.end() || !fs::exists(samples_file(entry.folder, key->second))) {
      return {
          {kSamples, "there are no samples of " + to_string(name_of(row)) + ": a figure without its replies does not count"}};
    }
    if (!known.contains(key->second)) known[key->second] = sampled_metrics(entry.folder, key->second);
    if (const auto found = difference(row, known.at(key->second))) return {{kSamples, *found}};
  }
  return {};
}

std::vector<Broken> broken_rules(const Entry& entry, const Json& board) {
  const Cells cells(entry);
  std::vector<Broken> all;
  const auto add = [&](std::vector<Broken> more) { all.insert(all.end(), more.begin(), more.end()); };
  if (!board.is_null()) add(other_than(board, entry.scenario()));
  add(too_few_seeds(cells));
  add(cells.seeds_left_out());
  add(cells.controls());
  add(cells.left_out());
  add(broken_samples(entry));
  add(findings(entry));
  return all;
}

}  // namespace holdfast
