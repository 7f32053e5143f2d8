// `sweep` of an [[attack]]: the settings that its attacker tries.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scenario/reading.h"

namespace holdfast {

/// One key of a sweep: a training option, or a setting of the attack's plugin.
struct SweepAxis {
  std::string key;
  toml::source_region place;
  bool trains = false;  // a training option
  bool is_range = false;
};

/// What one try sets, an axis after the other.
struct SweptValue {
  Json value;
  toml::source_region place;  // in the scenario
};
using SweepTry = std::vector<SweptValue>;

struct Sweep {
  std::vector<SweepAxis> axes;  // in the order written
  std::vector<SweepTry> tries;  // the grid, the last axis turning fastest, or what was drawn from it

  /// What a try sets, by key.
  Json tried(const SweepTry& values) const;
  /// "lr=0.0001,epochs=10". The same values have the same name whatever else a sweep holds; there is no '/' in it. What is no
  /// number, flag or short word, nor a list of such words, stands there as eight digits of its SHA-256.
  std::string name(const SweepTry& values) const;
  /// The options with what a try sets of them.
  TrainingOptions trained(const SweepTry& values, TrainingOptions options) const;
};

/// Reads "sweep" of an attack's table: lists of values, whose combinations are the tries, or with `tries` that many of them,
/// drawn by `seed`, and values drawn from ranges. None where there is no sweep; what is wrong with it is a mistake. `finetune`:
/// the attack's own table of training options, or null.
std::optional<Sweep> read_sweep(Reading& reading, ScenarioTable& attack, const toml::table* finetune);

/// A try's settings of the plugin beside those that the attack's table gives it; a key of both is a mistake.
Params::State with_settings(Reading& reading, const Sweep& sweep, const SweepTry& values, Params::State given);

/// Once the plugin was constructed from them: keys that it has not, and training options of one that trains nothing or that it
/// calls a setting of its own, are mistakes, and no fault of those settings any more.
void check_keys(Reading& reading, const Sweep& sweep, const std::string& plugin, bool tampers, Params::State& made);

}  // namespace holdfast
