#include "report/gate.h"

#include <holdfast/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "base/suggest.h"
#include "report/figures.h"
#include "report/metric_roles.h"

namespace holdfast {
namespace {

constexpr char kHarm[] = "harm";
constexpr char kUtility[] = "utility";

bool is_percent(const std::string& metric) { return !is_log_scale(metric) && !is_score(metric); }

// As leaderboard.md has it, with a digit more: near a limit it matters.
std::string figure_text(const std::string& metric, double value) {
  return is_percent(metric) ? fixed(100 * value, 1) + " %" : fixed(value, 2);
}

std::string bound_text(const GateLimit& limit, const std::string& metric) {
  std::string number = Json(limit.bound).dump();
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return (limit.at_most ? "at most " : "at least ") + number + (is_percent(metric) ? " %" : "");
}

std::string group_name(const CellGroup& cells) { return cells.model + ", " + cells.attack + " x " + cells.defense; }

bool is_asked(const std::vector<std::string>& asked, const std::string& name) {
  return asked.empty() || std::find(asked.begin(), asked.end(), name) != asked.end();
}

bool is_asked_attack(const GateRequest& request, const CellGroup& cells) {
  return is_asked(request.attacks, cells.attack) || (!cells.sweep.empty() && is_asked(request.attacks, cells.sweep));
}

void check_names(const char* what, const std::vector<std::string>& asked, const std::vector<std::string>& known) {
  for (const auto& name : asked) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error(std::string("the run has no ") + what + " " + in_quotes(name) + "." + suggestion(name, known));
  }
}

std::vector<std::string> attacks_and_sweeps(const Results& results) {
  std::vector<std::string> names = results.attacks;
  std::set<std::string> sweeps;
  for (const auto& cells : results.groups) {
    if (!cells.sweep.empty()) sweeps.insert(cells.sweep);
  }
  names.insert(names.end(), sweeps.begin(), sweeps.end());
  return names;
}

std::set<std::string> metrics_of(const Results& results) {
  std::set<std::string> ids;
  for (const auto& cells : results.groups) {
    for (const auto& [id, metric] : cells.metrics) ids.insert(id);
    for (const auto& [id, seeds] : cells.unknown) ids.insert(id);
  }
  return ids;
}

// A run that was killed, or that goes on now, has not all of its cells.
std::optional<std::string> why_incomplete(const Results& results) {
  const fs::path& folder = results.folders.front();
  const Json run = read_run_file(folder);
  if (!run.is_object() || !run.contains("cells") || !run.at("cells").is_number_integer()) {
    return folder.string() + " has no run.json that says how many cells there are: run its scenario to the end";
  }
  std::int64_t rows = 0;
  for (const auto& cells : results.groups) rows += static_cast<std::int64_t>(cells.rows.size());
  const std::int64_t all = run.at("cells").get<std::int64_t>();
  if (rows == all) return std::nullopt;
  return folder.string() + " has " + std::to_string(rows) + " cells and its scenario " + std::to_string(all) +
         ": run it to the end";
}

class Gate {
 public:
  Gate(const Results& results, const GateRequest& request) : results_(results), request_(request) {}

  GateAnswer answer() {
    check();
    if (const auto why = why_incomplete(results_)) answer_.unseen.push_back(*why);
    find_missing();
    closest_.resize(request_.limits.size());
    for (const auto& cells : results_.groups) {
      if (is_asked(request_.models, cells.model) && is_asked(request_.defenses, cells.defense) &&
          is_asked_attack(request_, cells)) {
        look_at(cells);
      }
    }
    if (answer_.cells == 0 && answer_.unseen.empty()) answer_.unseen.push_back("no cell of the run is of all that was named");
    for (const auto& closest : closest_) {
      if (!closest.text.empty()) answer_.held.push_back(closest.text);
    }
    return std::move(answer_);
  }

 private:
  // The figure that comes nearest to a limit, or passes it furthest.
  struct Closest {
    double room = 0;
    std::string text;
  };

  void check() const {
    check_names("attack", request_.attacks, attacks_and_sweeps(results_));
    check_names("defense", request_.defenses, results_.defenses);
    check_names("model", request_.models, results_.models);
    const auto ids = metrics_of(results_);
    std::vector<std::string> known(ids.begin(), ids.end());
    known.insert(known.end(), {kHarm, kUtility});
    for (const auto& limit : request_.limits) {
      check_names("metric", {limit.metric}, known);
      if (!is_percent(limit.metric) || (limit.bound >= 0 && limit.bound <= 100)) continue;
      throw Error(limit.metric + "=" + Json(limit.bound).dump() + ": a share is given in percent, from 0 to 100");
    }
  }

  // What was asked for by both names and stands in no cell.
  void find_missing() {
    for (const auto& model : request_.models.empty() ? results_.models : request_.models) {
      for (const auto& attack : request_.attacks) {
        for (const auto& defense : request_.defenses) {
          const bool found = std::any_of(results_.groups.begin(), results_.groups.end(), [&](const CellGroup& cells) {
            return cells.model == model && cells.defense == defense && (cells.attack == attack || cells.sweep == attack);
          });
          if (!found) answer_.unseen.push_back("the run has no cell " + attack + " x " + defense + " of " + model);
        }
      }
    }
  }

  void look_at(const CellGroup& cells) {
    ++answer_.cells;
    if (const std::int64_t lost = cells.failed + cells.timeout; lost > 0) {
      answer_.unseen.push_back(group_name(cells) + ": " + std::to_string(lost) + " of " + std::to_string(cells.rows.size()) +
                               " seeds have no result (" + cells.messages.front() + ")");
    }
    for (std::size_t i = 0; i < request_.limits.size(); ++i) {
      const GateLimit& limit = request_.limits[i];
      const auto metrics = behind(limit.metric, cells);
      for (const auto& metric : metrics) hold(cells, limit, metric, closest_[i]);
      if (metrics.empty()) answer_.unseen.push_back(group_name(cells) + ": no figure of " + limit.metric + " was measured");
    }
  }

  std::vector<std::string> behind(const std::string& metric, const CellGroup& cells) {
    if (metric == kHarm) {
      const std::string harm = harm_of(cells);
      return harm.empty() ? std::vector<std::string>() : std::vector<std::string>{harm};
    }
    if (metric != kUtility) return {metric};
    std::vector<std::string> ids;
    const auto known = metrics_of(results_);
    std::copy_if(known.begin(), known.end(), std::back_inserter(ids),
                 [&](const std::string& id) { return id.starts_with("utility.") && has(cells, id); });
    return ids;
  }

  // The first of the board that the cell stands on.
  const std::string& harm_of(const CellGroup& cells) {
    const auto [place, fresh] = harms_.try_emplace({cells.model, cells.threat_model});
    if (fresh) place->second = harm_metrics(ModelCells(results_, cells.model, cells.threat_model)).front();
    return place->second;
  }

  static bool has(const CellGroup& cells, const std::string& id) {
    return cells.metrics.contains(id) || cells.unknown.contains(id);
  }

  void hold(const CellGroup& cells, const GateLimit& limit, const std::string& metric, Closest& closest) {
    if (const auto unknown = cells.unknown.find(metric); unknown != cells.unknown.end()) {
      answer_.unseen.push_back(group_name(cells) + ": " + metric + " is not finite in " + std::to_string(unknown->second) +
                               " of " + std::to_string(cells.rows.size()) + " seeds");
    }
    const auto found = cells.metrics.find(metric);
    if (found == cells.metrics.end()) {
      if (cells.ok > 0 && !cells.unknown.contains(metric)) {
        answer_.unseen.push_back(group_name(cells) + ": no figure of " + metric + " was measured");
      }
      return;
    }
    const PooledMetric& pooled = found->second;
    const double counted = request_.by_value ? pooled.value : (limit.at_most ? pooled.high : pooled.low);
    const double scaled = is_percent(metric) ? 100 * counted : counted;
    const double room = limit.at_most ? limit.bound - scaled : scaled - limit.bound;
    const std::string text = group_name(cells) + ": " + metric + " " + figure_text(metric, pooled.value) + " (" +
                             figure_text(metric, pooled.low) + " to " + figure_text(metric, pooled.high) + "), " +
                             bound_text(limit, metric);
    if (!(room >= 0)) answer_.broken.push_back(text);
    if (closest.text.empty() || room < closest.room) closest = {room, text};
  }

  const Results& results_;
  const GateRequest& request_;
  GateAnswer answer_;
  std::vector<Closest> closest_;                                      // by limit
  std::map<std::pair<std::string, std::string>, std::string> harms_;  // by model and threat model
};

}  // namespace

GateLimit gate_limit(const std::string& text, bool at_most) {
  const auto equals = text.rfind('=');
  GateLimit limit{text.substr(0, equals), 0, at_most};
  if (equals != std::string::npos && equals > 0) {
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + equals + 1, end, limit.bound);
    if (read.ec == std::errc() && read.ptr == end && std::isfinite(limit.bound)) return limit;
  }
  throw Error(std::string(at_most ? "--max" : "--min") + ": " + in_quotes(text) +
              " is given, expected METRIC=NUMBER, such as " + (at_most ? "harm=10" : "utility=90"));
}

GateAnswer ask_gate(const Results& results, const GateRequest& request) { return Gate(results, request).answer(); }

}  // namespace holdfast
