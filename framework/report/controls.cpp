#include "report/controls.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "judge/metrics.h"
#include "report/effects.h"
#include "report/figures.h"
#include "report/metric_roles.h"

namespace holdfast {
namespace {

std::string control_name(const Control& control) {
  return control.metric + (control.attack == "none" ? " without attack" : " under " + control.attack);
}

std::optional<Control> control(const ModelCells& board, const std::string& attack, const std::string& metric) {
  const auto* pooled = board.metric(attack, "none", metric);
  if (pooled == nullptr) return std::nullopt;
  Control found{board.model(), board.group(attack, "none")->threat_model,
                attack,        metric,
                pooled->value, pooled->low,
                pooled->high,  pooled->n,
                pooled->seeds, {}};
  found.spread = seed_spread(column_grids(board, attack, metric, board.defenses()));
  if (found.spread && found.spread->deviation == 0) found.spread.reset();
  return found;
}

std::vector<Control> controls_of(const ModelCells& board, const std::vector<std::string>& harms,
                                 const std::vector<std::string>& price) {
  std::vector<Control> found;
  const auto add = [&](const std::string& attack, const std::string& metric) {
    if (const auto one = control(board, attack, metric)) found.push_back(*one);
  };
  for (const auto& column : board.attacks()) {
    for (const auto& attack : board.tries(column)) {
      for (const auto& harm : harms) add(attack, harm);
    }
  }
  for (const auto& metric : price) add("none", metric);
  return found;
}

Json json_of(const Control& control) {
  Json json = {{"model", control.model},   {"threat_model", control.threat_model},
               {"attack", control.attack}, {"metric", control.metric},
               {"value", control.value},   {"low", control.low},
               {"high", control.high},     {"n", control.n},
               {"seeds", control.seeds}};
  if (control.spread) {
    json["deviation"] = control.spread->deviation;
    json["freedom"] = control.spread->freedom;
  }
  return json;
}

// An end of an interval that passed the largest number is written as null.
double end_from(const Json& json) { return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>(); }

Control control_from(const Json& json) {
  Control control;
  control.model = json.at("model").get<std::string>();
  control.threat_model = json.at("threat_model").get<std::string>();
  control.attack = json.at("attack").get<std::string>();
  control.metric = json.at("metric").get<std::string>();
  control.value = json.at("value").get<double>();
  control.low = json.at("low").get<double>();
  control.high = end_from(json.at("high"));
  control.n = json.at("n").get<std::int64_t>();
  control.seeds = json.at("seeds").get<std::int64_t>();
  if (json.contains("deviation")) control.spread = {json.at("deviation").get<double>(), json.at("freedom").get<double>()};
  if (control.seeds < 1 || control.n < control.seeds || (control.spread && !(control.spread->freedom >= 1))) {
    throw Error("has no seeds or fewer probes than seeds");
  }
  return control;
}

// Those of the reference that a board with this harm and price must have.
std::vector<Control> expected_controls(const Json& reference, const ModelCells& board, const std::string& harm,
                                       const std::vector<std::string>& price) {
  std::vector<Control> expected;
  std::size_t number = 0;
  for (const auto& json : reference.at("controls")) {
    ++number;
    Control control;
    try {
      control = control_from(json);
    } catch (const std::exception& mistake) {
      throw Error("control " + std::to_string(number) + " of the board's reference is none (" + mistake.what() +
                  "); give the controls.json of another run as [leaderboard] reference, and run the scenario again");
    }
    const bool none = control.attack == "none";
    const bool wanted =
        control.metric == harm || (none && std::find(price.begin(), price.end(), control.metric) != price.end());
    if (control.model == board.model() && wanted && (none || control.threat_model == board.threat_model())) {
      expected.push_back(std::move(control));
    }
  }
  return expected;
}

// Whether a definition says what this board's figures are of: other models' and the defenses' do not.
bool is_of(const ModelCells& board, const std::string& name) {
  for (const std::string kind : {"model ", "probes ", "alignment "}) {
    if (name.starts_with(kind)) return name == kind + board.model();
  }
  return !name.starts_with("defense ");
}

std::vector<std::string> other_definitions(const ModelCells& board, const Json& reference) {
  std::vector<std::string> reasons;
  const Json definitions = reference.value("definitions", Json::object());
  for (const auto& [name, digest] : board.results().facts.definitions) {
    if (!is_of(board, name) || !definitions.contains(name) || definitions.at(name) == digest) continue;
    reasons.push_back("the " + name + " is another one than the reference's");
  }
  return reasons;
}

std::string control_text(const Control& control) {
  return figure(control.metric, control.value) + " (" + figure(control.metric, control.low) + "-" +
         figure(control.metric, control.high) + ")";
}

double on_scale(const Control& control, double value) { return is_log_scale(control.metric) ? std::log(value) : value; }

// Why a control is not the reference's; empty when it is. `comparisons`: that are made of the board.
std::string why_other(const Control& here, const Control& there, std::size_t comparisons) {
  if (here.n * there.seeds != there.n * here.seeds) {
    return control_name(here) + " is of " + std::to_string(here.n / here.seeds) + " probes here and of " +
           std::to_string(there.n / there.seeds) + " in the reference";
  }
  const std::string both =
      control_name(here) + " is " + control_text(here) + " here and " + control_text(there) + " in the reference";
  if (!there.spread) {
    const bool overlap = here.low <= there.high && there.low <= here.high;
    return overlap ? "" : both + ", whose seeds do not tell a noise floor: the intervals do not overlap";
  }
  const double floor =
      noise_floor(*there.spread, static_cast<double>(here.seeds), static_cast<double>(there.seeds), comparisons);
  if (std::abs(on_scale(here, here.value) - on_scale(there, there.value)) <= floor) return "";
  return both + ", noise floor " + (is_log_scale(here.metric) ? fixed(floor, 2) + " of its logarithm" : percent(floor));
}

const Control* same_control(const std::vector<Control>& controls, const Control& wanted) {
  const auto found = std::find_if(controls.begin(), controls.end(), [&](const Control& each) {
    return each.attack == wanted.attack && each.metric == wanted.metric;
  });
  return found == controls.end() ? nullptr : &*found;
}

}  // namespace

std::vector<Control> controls(const Results& results) {
  std::vector<Control> all;
  std::set<std::tuple<std::string, std::string, std::string>> known;
  for (const auto& board : boards(results)) {
    const auto harms = harm_metrics(board);
    std::vector<std::string> price;
    for (const auto& harm : harms) {
      for (const auto& id : price_metrics(board, harm)) {
        if (std::find(price.begin(), price.end(), id) == price.end()) price.push_back(id);
      }
    }
    for (auto& one : controls_of(board, harms, price)) {
      if (known.emplace(one.model, one.attack, one.metric).second) all.push_back(std::move(one));
    }
  }
  return all;
}

Json controls_json(const Results& results) {
  Json json = {{"controls", Json::array()}, {"definitions", Json::object()}};
  for (const auto& one : controls(results)) json["controls"].push_back(json_of(one));
  for (const auto& [name, digest] : results.facts.definitions) {
    if (!name.starts_with("defense ")) json["definitions"][name] = digest;
  }
  return json;
}

std::vector<std::string> incomparable_controls(const ModelCells& board, const std::string& harm,
                                               const std::vector<std::string>& price) {
  const Json& reference = board.results().facts.board.reference;
  if (reference.is_null()) return {};
  const auto expected = expected_controls(reference, board, harm, price);
  if (expected.empty()) return {"the reference has no control of " + board.model() + " by " + harm};
  auto reasons = other_definitions(board, reference);
  const auto own = controls_of(board, {harm}, price);
  for (const auto& there : expected) {
    const auto* here = same_control(own, there);
    const std::string reason =
        here == nullptr ? control_name(there) + " is in the reference and not here" : why_other(*here, there, expected.size());
    if (!reason.empty()) reasons.push_back(reason);
  }
  for (const auto& here : own) {
    if (same_control(expected, here) == nullptr) reasons.push_back(control_name(here) + " is here and not in the reference");
  }
  return reasons;
}

}  // namespace holdfast
