#include "learn/adapter_config.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/untrusted.h"
#include "learn/json_file.h"
#include "text/pattern.h"

namespace holdfast {
namespace {

bool is_off(const Json& value) {
  return value.is_null() || value == false || value == "" || ((value.is_array() || value.is_object()) && value.empty());
}
bool is_text_or_off(const Json& value) { return value.is_string() || is_off(value); }
bool is_list_or_off(const Json& value) {
  return is_off(value) ||
         (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& name) { return name.is_string(); }));
}
bool is_flag(const Json& value) { return value.is_boolean() || value.is_null(); }
bool is_positive(const Json& value) { return value.is_number() && value.get<double>() > 0; }
bool is_rank(const Json& value) { return value.is_number_integer() && value.get<std::int64_t>() > 0; }
bool is_pattern(const Json& value, bool (*fits)(const Json&)) {
  return is_off(value) || (value.is_object() && std::all_of(value.begin(), value.end(), fits));
}

struct Known {
  bool (*fits)(const Json&);
  const char* expected;
};

// Starts that leave the base's weights as they are when PEFT 0.21 loads the adapter. The others (PiSSA, OLoRA, CorDA, LoftQ,
// LoRA-GA, MiCA) take a part out of them.
bool is_plain_start(const Json& value) {
  return is_flag(value) || value == "gaussian" || value == "eva" || value == "orthogonal";
}

const std::map<std::string, Known> kKnown = {
    // What is honoured.
    {"peft_type", {[](const Json& v) { return v == "LORA"; }, "\"LORA\""}},
    {"task_type", {[](const Json& v) { return is_off(v) || v == "CAUSAL_LM"; }, "\"CAUSAL_LM\""}},
    {"base_model_name_or_path", {is_text_or_off, "a path"}},
    {"r", {is_rank, "a positive integer"}},
    {"lora_alpha", {is_positive, "a positive number"}},
    {"use_rslora", {is_flag, "true or false"}},
    {"rank_pattern", {[](const Json& v) { return is_pattern(v, is_rank); }, "positive integers by module"}},
    {"alpha_pattern", {[](const Json& v) { return is_pattern(v, is_positive); }, "positive numbers by module"}},
    {"modules_to_save", {is_list_or_off, "a list of module names"}},
    {"init_lora_weights",
     {is_plain_start,
      "true, false, \"gaussian\", \"eva\" or \"orthogonal\": others change the base's weights, and PEFT saves such an adapter "
      "as "
      "a plain one with save_pretrained(path_initial_model_for_weight_conversion=...)"}},
    // What chose the modules, whose tensors say so themselves.
    {"target_modules", {[](const Json& v) { return v.is_string() || is_list_or_off(v); }, "names of modules"}},
    {"exclude_modules", {[](const Json& v) { return v.is_string() || is_list_or_off(v); }, "names of modules"}},
    {"layers_to_transform",
     {[](const Json& v) { return is_off(v) || v.is_number_integer() || v.is_array(); }, "numbers of layers"}},
    {"layers_pattern", {[](const Json& v) { return v.is_string() || is_list_or_off(v); }, "names of modules"}},
    // What was of use in training only, or to whom it came from.
    {"lora_dropout", {[](const Json& v) { return is_off(v) || v.is_number(); }, "a number"}},
    {"inference_mode", {is_flag, "true or false"}},
    {"eva_config", {[](const Json& v) { return is_off(v) || v.is_object(); }, "a table"}},
    {"auto_mapping", {[](const Json& v) { return is_off(v) || v.is_object(); }, "a table"}},
    {"peft_version", {is_text_or_off, "a text"}},
    {"revision", {is_text_or_off, "a text"}},
    {"megatron_core", {is_text_or_off, "a text"}},
    {"qalora_group_size", {[](const Json& v) { return is_off(v) || v.is_number_integer(); }, "an integer"}},
    // What must be off.
    {"bias", {[](const Json& v) { return v == "none" || v.is_null(); }, "\"none\": trained biases are not supported"}},
};

// The whole name of a module, or the end of it behind a dot.
Pattern pattern_of(const std::string& key, const std::string& place) {
  try {
    return Pattern::regex("\\A(?:.*\\.)?(?:" + key + ")\\z", place);
  } catch (const Error&) {
    throw Error(place + ", which is no regular expression");
  }
}

}  // namespace

AdapterConfig::AdapterConfig(Json values, std::string source) : values_(std::move(values)), source_(std::move(source)) {
  if (!values_.is_object()) throw Error(source_ + " is not a JSON object");
  for (const auto& [key, value] : values_.items()) {
    const auto known = kKnown.find(key);
    const std::string found = source_ + ": " + in_quotes(key) + " is " + in_short(value);
    if (known == kKnown.end()) {
      if (!is_off(value)) throw Error(found + ", which is not supported: only adapters that leave it out or off are read");
    } else if (!known->second.fits(value)) {
      throw Error(found + ", expected " + known->second.expected);
    }
  }
  for (const char* key : {"peft_type", "r", "lora_alpha"}) {
    if (!values_.contains(key)) throw Error(source_ + " lacks \"" + std::string(key) + "\": it is no LoRA adapter of PEFT");
  }
}

std::string AdapterConfig::base() const {
  const Json named = values_.value("base_model_name_or_path", Json());
  return named.is_string() ? named.get<std::string>() : "";
}

std::vector<std::string> AdapterConfig::saved_modules() const {
  const Json named = values_.value("modules_to_save", Json());
  return named.is_array() ? named.get<std::vector<std::string>>() : std::vector<std::string>();
}

std::vector<std::string> AdapterConfig::targets() const {
  const Json named = values_.value("target_modules", Json());
  return named.is_array() ? named.get<std::vector<std::string>>() : std::vector<std::string>();
}

std::int64_t AdapterConfig::rank() const { return values_["r"].get<std::int64_t>(); }
double AdapterConfig::alpha() const { return values_["lora_alpha"].get<double>(); }

std::int64_t AdapterConfig::rank_of(const std::string& module) const {
  return from_pattern("rank_pattern", module, values_["r"]).get<std::int64_t>();
}

double AdapterConfig::scale_of(const std::string& module) const {
  const double alpha = from_pattern("alpha_pattern", module, values_["lora_alpha"]).get<double>();
  const double rank = static_cast<double>(rank_of(module));
  return alpha / (values_.value("use_rslora", Json()) == true ? std::sqrt(rank) : rank);
}

// PEFT's rule: the first key, in the file's sorted order, that is the module's name or the end of it behind a dot, as a regular
// expression.
Json AdapterConfig::from_pattern(const char* patterns, const std::string& module, const Json& otherwise) const {
  const Json table = values_.value(patterns, Json());
  if (!table.is_object()) return otherwise;
  for (const auto& [key, value] : table.items()) {
    const std::string place = source_ + ": \"" + patterns + "\" has the key " + in_quotes(key);
    const auto found = pattern_of(key, place).split(module);
    if (!found.empty() && found.front().matched) return value;
  }
  return otherwise;
}

AdapterConfig read_adapter_config(const fs::path& folder) {
  const fs::path path = folder / "adapter_config.json";
  return {json_file(path), path.string()};
}

}  // namespace holdfast
