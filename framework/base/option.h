// Options of a struct, each declared once: a table of them is what a scenario, a command line, JSON, the check before use and
// the documentation read.
#pragma once

#include <holdfast/error.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace holdfast {

enum class OptionKind { kText, kInteger, kNumber, kFlag, kTexts };  // in the order of Option::Member

inline constexpr double kUnlimited = 1e300;

struct OptionRule {
  std::string name;  // of a scenario's key and in JSON; on the command line with hyphens
  OptionKind kind = OptionKind::kText;
  std::string help = {};
  double lowest = 0;  // of integers and numbers
  double highest = kUnlimited;
  std::vector<std::string> choices = {};  // of texts; empty: any
  bool named_if_set = false;  // JSON leaves it out where it has its default, so that keys stay what they were before it
};

/// What a value may be: "an integer of at least 1", "\"full\" or \"lora\"".
std::string expected(const OptionRule& rule);
bool fits(const OptionRule& rule, const Json& value);
/// A value as sentences and --help show it.
std::string shown(const Json& value);

template <typename Options>
struct Option : OptionRule {
  using Member = std::variant<std::string Options::*, std::int64_t Options::*, double Options::*, bool Options::*,
                              std::vector<std::string> Options::*>;
  Member member;

  Option(std::string key, Member of, std::string meaning)
      : OptionRule{std::move(key), OptionKind(of.index()), std::move(meaning)}, member(of) {}
  Option within(double low, double high = kUnlimited) const {
    Option limited = *this;
    limited.lowest = low;
    limited.highest = high;
    return limited;
  }
  Option among(std::vector<std::string> words) const {
    Option limited = *this;
    limited.choices = std::move(words);
    return limited;
  }
  Option only_if_set() const {
    Option quiet = *this;
    quiet.named_if_set = true;
    return quiet;
  }

  Json value(const Options& options) const {
    return std::visit([&](auto of) { return Json(options.*of); }, member);
  }
  /// Throws what nlohmann/json throws where the value has another type.
  void set(Options& options, const Json& value) const {
    std::visit([&](auto of) { value.get_to(options.*of); }, member);
  }
};

template <typename Options>
using OptionTable = std::vector<Option<Options>>;

template <typename Options>
Json to_json(const OptionTable<Options>& table, const Options& options) {
  Json json = Json::object();
  for (const auto& option : table) {
    if (option.named_if_set && option.value(options) == option.value({})) continue;
    json[option.name] = option.value(options);
  }
  return json;
}

/// The inverse; every option that JSON always names must be there.
template <typename Options>
Options from_json(const OptionTable<Options>& table, const Json& json) {
  Options options;
  for (const auto& option : table) {
    if (!option.named_if_set || json.contains(option.name)) option.set(options, json.at(option.name));
  }
  return options;
}

/// Throws Error for the first value that is not allowed: "the `whose` option \"lr\" is -1, expected ...".
template <typename Options>
void check_options(const OptionTable<Options>& table, const Options& options, const std::string& whose) {
  for (const auto& option : table) {
    const Json value = option.value(options);
    if (fits(option, value)) continue;
    throw Error("the " + whose + " option \"" + option.name + "\" is " + shown(value) + ", expected " + expected(option));
  }
}

}  // namespace holdfast
