#include "scenario/sweep.h"

#include <holdfast/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "base/digest.h"
#include "base/suggest.h"
#include "learn/training_options.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostTries = 1000;
constexpr int kDigits = 3;              // of a number that is drawn: all that an attacker would write down
constexpr std::size_t kShortWord = 40;  // characters
constexpr std::size_t kDigestCharacters = 8;

struct Range {
  double low = 0, high = 0;
  bool is_log = false;
};

// What an axis may be: one of listed values, or a number of a range.
struct Choices {
  std::vector<SweptValue> listed;
  std::optional<Range> range;
  toml::source_region place;
};

const Option<TrainingOptions>* training_option(const std::string& key) {
  const auto& table = training_options();
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& option) { return option.name == key; });
  return found == table.end() ? nullptr : &*found;
}

double rounded(double value) {
  std::array<char, 32> text = {};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific, kDigits - 1);
  double result = value;
  std::from_chars(text.data(), end.ptr, result);
  return result;
}

double drawn(const Range& range, Random& random) {
  const double u = random.uniform();
  const double value =
      range.is_log ? range.low * std::pow(range.high / range.low, u) : range.low + u * (range.high - range.low);
  return std::clamp(rounded(value), range.low, range.high);
}

bool is_short_word(const std::string& text) {
  return !text.empty() && text.size() <= kShortWord && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

std::string named(const Json& value) {
  if (value.is_number() || value.is_boolean()) return value.dump();
  const auto is_word = [](const Json& item) { return item.is_string() && is_short_word(item.get<std::string>()); };
  if (is_word(value)) return value.get<std::string>();
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_word)) {
    return sha256(canonical(value)).substr(0, kDigestCharacters);
  }
  std::string text;
  for (const auto& item : value) text += (text.empty() ? "" : "+") + item.get<std::string>();
  return text;
}

// The reader of one "sweep" table.
class Reader {
 public:
  Reader(Reading& reading, const toml::table& toml, const toml::table* finetune)
      : mistakes_(reading.mistakes), toml_(toml), finetune_(finetune), table_(toml, kTitle, mistakes_) {}

  std::optional<Sweep> read() {
    if (table_.has("tries")) tries_ = table_.integer("tries", 1, 1, kMostTries);
    const std::int64_t seed = table_.integer("seed", 1, 0);
    if (table_.has("seed") && !tries_) table_.mistake("seed", "\"seed\" in " + kTitle + " draws nothing without \"tries\"");
    read_axes();
    if (sweep_.axes.empty()) {
      mistakes_.add(toml_.source(), kTitle + " names nothing to try, expected lists of values: sweep = { lr = [1e-4, 3e-4] }");
    }
    if (wrong_ || sweep_.axes.empty() || !grid_fits()) return std::nullopt;
    if (!tries_) {
      for (std::uint64_t i = 0; i < grid_; ++i) sweep_.tries.push_back(point(i));
    } else if (!draw(static_cast<std::uint64_t>(seed))) {
      table_.mistake("tries", "\"tries\" in " + kTitle + " is " + std::to_string(*tries_) +
                                  ", and its ranges hold too few numbers of " + std::to_string(kDigits) + " digits");
      return std::nullopt;
    }
    return std::move(sweep_);
  }

 private:
  inline static const std::string kTitle = "sweep of this attack";

  void mistake(const toml::source_region& place, const std::string& key, const std::string& what) {
    mistakes_.add(place, "\"" + key + "\" in " + kTitle + " " + what);
    wrong_ = true;
  }

  // A TOML table is sorted by its keys; the places tell the order in which they were written.
  void read_axes() {
    std::vector<std::pair<std::pair<std::int64_t, std::int64_t>, std::string>> keys;
    for (const auto& [key, node] : toml_) {
      const auto& begin = key.source().begin;
      if (key.str() != "tries" && key.str() != "seed") keys.push_back({{begin.line, begin.column}, std::string(key.str())});
    }
    std::sort(keys.begin(), keys.end());
    for (const auto& [place, key] : keys) read_axis(key, *toml_.get(key));
  }

  void read_axis(const std::string& key, const toml::node& node) {
    const auto* option = training_option(key);
    if (finetune_ != nullptr && finetune_->contains(key))
      mistake(node.source(), key, "stands in its finetune too: leave it out there");
    Choices choices;
    choices.place = node.source();
    if (node.is_array()) {
      choices.listed = values(key, *node.as_array(), option);
    } else if (node.is_table()) {
      choices.range = range(key, *node.as_table(), option);
    } else {
      mistake(node.source(), key, "is " + described(node) + ", expected a list of values or a range { low, high }");
    }
    sweep_.axes.push_back({key, node.source(), option != nullptr, node.is_table()});
    choices_.push_back(std::move(choices));
  }

  std::vector<SweptValue> values(const std::string& key, const toml::array& listed, const OptionRule* rule) {
    std::vector<SweptValue> values;
    if (listed.empty()) mistake(listed.source(), key, "is an empty list, expected the values to try");
    for (const auto& item : listed) {
      Json value = to_json(item);
      if (rule != nullptr && !fits(*rule, value)) {
        mistake(item.source(), key, "lists " + described(item) + ", expected " + expected(*rule));
      }
      const bool again = std::any_of(values.begin(), values.end(), [&](const SweptValue& each) { return each.value == value; });
      if (again) mistake(item.source(), key, "lists " + shown(value) + " twice");
      if (rule != nullptr && rule->kind == OptionKind::kNumber && value.is_number()) value = value.get<double>();
      values.push_back({std::move(value), item.source()});
    }
    return values;
  }

  Range range(const std::string& key, const toml::table& toml, const OptionRule* rule) {
    Range range;
    for (const auto* bound : {"low", "high"}) {
      const auto* node = toml.get(bound);
      if (node != nullptr && node->is_number()) continue;
      mistake(node == nullptr ? toml.source() : node->source(), key,
              std::string("is a range without a number as \"") + bound + "\"");
      return range;
    }
    ScenarioTable table(toml, "the range of \"" + key + "\" in " + kTitle, mistakes_);
    range.low = table.number("low", 0, -1e300);
    range.high = table.number("high", 0, -1e300);
    range.is_log = table.choice("scale", "linear", {"linear", "log"}) == "log";
    table.finish();
    if (!tries_) mistake(toml.source(), key, "is a range, which tries are drawn from: say how many as \"tries\"");
    if (range.low >= range.high) mistake(toml.source(), key, "is a range whose \"low\" is not below its \"high\"");
    if (range.is_log && range.low <= 0) mistake(toml.source(), key, "is a range on the log scale, whose \"low\" is above 0");
    if (rule == nullptr) return range;
    if (rule->kind != OptionKind::kNumber) {
      mistake(toml.source(), key, "is a range, and not a number but " + expected(*rule) + ": list its values");
    } else if (!fits(*rule, range.low) || !fits(*rule, range.high)) {
      mistake(toml.source(), key, "is a range that passes what it may be, " + expected(*rule));
    }
    return range;
  }

  // Also counts it.
  bool grid_fits() {
    const bool has_range = std::any_of(choices_.begin(), choices_.end(), [](const Choices& each) { return each.range; });
    for (const auto& each : choices_) {
      if (each.range) continue;
      if (grid_ > UINT64_MAX / each.listed.size()) {
        mistakes_.add(toml_.source(), kTitle + " holds more combinations than can be counted: shorten its lists");
        return false;
      }
      grid_ *= each.listed.size();
    }
    if (!tries_ && grid_ > kMostTries) {
      mistakes_.add(toml_.source(), kTitle + " holds " + std::to_string(grid_) +
                                        " combinations: say as \"tries\" how many are drawn, " + std::to_string(kMostTries) +
                                        " at most");
      return false;
    }
    if (tries_ && !has_range && static_cast<std::uint64_t>(*tries_) > grid_) {
      table_.mistake("tries", "\"tries\" in " + kTitle + " is " + std::to_string(*tries_) + ", and its grid holds " +
                                  std::to_string(grid_) + ": leave \"tries\" out to take them all");
      return false;
    }
    return true;
  }

  // Of the grid of lists; ranges have no value yet.
  SweepTry point(std::uint64_t index) const {
    SweepTry values(choices_.size());
    for (std::size_t axis = choices_.size(); axis-- > 0;) {
      const auto& listed = choices_[axis].listed;
      if (listed.empty()) continue;
      values[axis] = listed[index % listed.size()];
      index /= listed.size();
    }
    return values;
  }

  // False where so many distinct tries are not found.
  bool draw(std::uint64_t seed) {
    Random random(derive_seed(seed, "sweep"));
    std::set<std::string> seen;
    const std::size_t wanted = static_cast<std::size_t>(*tries_);
    // All of a grid of n are found after about n log n draws, with n of at most 1,000 seven for each.
    for (std::size_t draws = 0; sweep_.tries.size() < wanted && draws < 100 * (wanted + 1); ++draws) {
      SweepTry values = point(random.below(grid_));
      for (std::size_t axis = 0; axis < choices_.size(); ++axis) {
        if (choices_[axis].range) values[axis] = {drawn(*choices_[axis].range, random), choices_[axis].place};
      }
      if (seen.insert(canonical(sweep_.tried(values))).second) sweep_.tries.push_back(std::move(values));
    }
    return sweep_.tries.size() == wanted;
  }

  Mistakes& mistakes_;
  const toml::table& toml_;
  const toml::table* finetune_;
  ScenarioTable table_;
  Sweep sweep_;
  std::vector<Choices> choices_;  // an axis each
  std::optional<std::int64_t> tries_;
  std::uint64_t grid_ = 1;
  bool wrong_ = false;
};

}  // namespace

Json Sweep::tried(const SweepTry& values) const {
  Json all = Json::object();
  for (std::size_t axis = 0; axis < axes.size(); ++axis) all[axes[axis].key] = values[axis].value;
  return all;
}

std::string Sweep::name(const SweepTry& values) const {
  std::string text;
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    text += (axis == 0 ? "" : ",") + axes[axis].key + "=" + named(values[axis].value);
  }
  return text;
}

TrainingOptions Sweep::trained(const SweepTry& values, TrainingOptions options) const {
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    if (axes[axis].trains) training_option(axes[axis].key)->set(options, values[axis].value);
  }
  return options;
}

std::optional<Sweep> read_sweep(Reading& reading, ScenarioTable& attack, const toml::table* finetune) {
  const auto* table = attack.table("sweep");
  return table == nullptr ? std::nullopt : Reader(reading, *table, finetune).read();
}

Params::State with_settings(Reading& reading, const Sweep& sweep, const SweepTry& values, Params::State given) {
  for (std::size_t axis = 0; axis < sweep.axes.size(); ++axis) {
    const auto& [key, place, trains, is_range] = sweep.axes[axis];
    if (trains) continue;
    if (given.places.contains(key)) {
      reading.mistakes.add(place, in_quotes(key) + " in sweep of this attack is a setting beside it too: leave it out there");
    }
    given.values[key] = values[axis].value;
    given.places[key] = reading.mistakes.place(values[axis].place);
  }
  return given;
}

void check_keys(Reading& reading, const Sweep& sweep, const std::string& plugin, bool tampers, Params::State& made) {
  const auto mistake = [&](const SweepAxis& axis, const std::string& what) {
    reading.mistakes.add(axis.place, in_quotes(axis.key) + " in sweep of this attack " + what);
  };
  std::vector<std::string> known;
  for (const auto& info : made.declared) known.push_back(info.name);
  std::vector<std::string> options;
  for (const auto& option : training_options()) options.push_back(option.name);
  for (const auto& axis : sweep.axes) {
    const auto info = std::find(known.begin(), known.end(), axis.key);
    const bool is_setting = info != known.end();
    if (axis.trains) {
      if (tampers) mistake(axis, "is a training option, and " + in_quotes(plugin) + " edits weights and trains nothing");
      if (is_setting) mistake(axis, "is a training option and a setting of " + in_quotes(plugin) + " as well");
    } else if (!is_setting) {
      auto all = known;
      all.insert(all.end(), options.begin(), options.end());
      mistake(axis, "is neither a training option nor a setting of " + in_quotes(plugin) + "." + suggestion(axis.key, all));
      made.values.erase(axis.key);
    } else if (axis.is_range && made.declared[static_cast<std::size_t>(info - known.begin())].type != "number") {
      mistake(axis, "is a range, and no number: list its values");
      std::erase_if(made.mistakes, [&](const ParamMistake& each) { return each.place == made.places.at(axis.key); });
    }
  }
}

}  // namespace holdfast
