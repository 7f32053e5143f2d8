#include "scenario/scenario_table.h"

#include <holdfast/error.h>

#include <algorithm>
#include <sstream>

#include "base/suggest.h"

namespace holdfast {

toml::table parse_toml(const std::string& text, const std::string& source) {
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    throw Error(source + ":" + std::to_string(where.line) + ":" + std::to_string(where.column) + ": " +
                std::string(error.description()));
  }
}

Json to_json(const toml::node& node) {
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& item : *array) list.push_back(to_json(item));
    return list;
  }
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = to_json(value);
    return object;
  }
  std::ostringstream text;  // dates and times have no JSON type
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

namespace {

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::string range_text(const std::string& what, const std::string& low, const std::string& high) {
  if (!low.empty() && !high.empty()) return what + " from " + low + " to " + high;
  if (!low.empty()) return what + " of at least " + low;
  return what;
}

}  // namespace

std::string described(const toml::node& node) {
  const auto with = [&](const std::string& what) { return what + " (" + to_json(node).dump() + ")"; };
  if (node.is_boolean()) return with("a flag");
  if (node.is_integer()) return with("an integer");
  if (node.is_floating_point()) return with("a number");
  if (node.is_string()) return with("a text");
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

std::string Mistakes::place(const toml::source_region& where) const {
  // What is missing altogether has no place; it would stand in the file, so the file's beginning it is.
  const auto line = std::max<toml::source_index>(1, where.begin.line),
             column = std::max<toml::source_index>(1, where.begin.column);
  return file_ + ":" + std::to_string(line) + ":" + std::to_string(column);
}

void Mistakes::add(const toml::source_region& where, const std::string& sentence) {
  note({where.begin.line, where.begin.column, place(where) + ": " + sentence});
}

void Mistakes::add(const ParamMistake& mistake, const toml::source_region& fallback) {
  if (mistake.place.empty()) return add(fallback, mistake.sentence);
  const auto column = mistake.place.rfind(':');
  const auto line = mistake.place.rfind(':', column - 1);
  note({std::stoll(mistake.place.substr(line + 1, column - line - 1)), std::stoll(mistake.place.substr(column + 1)),
        mistake.place + ": " + mistake.sentence});
}

// What all tries of a sweep have wrong is found with each of them.
void Mistakes::note(Found found) {
  const bool known = std::any_of(found_.begin(), found_.end(), [&](const Found& each) { return each.text == found.text; });
  if (!known) found_.push_back(std::move(found));
}

void Mistakes::throw_if_any() {
  if (found_.empty()) return;
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& a, const Found& b) { return std::tie(a.line, a.column) < std::tie(b.line, b.column); });
  std::string text;
  for (const auto& found : found_) text += (text.empty() ? "" : "\n") + found.text;
  throw Error(text);
}

const toml::node* ScenarioTable::read(const std::string& name) {
  known_.push_back(name);
  return table_.get(name);
}

void ScenarioTable::wrong(const std::string& name, const toml::node& found, const std::string& expected) {
  mistakes_.add(found.source(), "\"" + name + "\" in " + title_ + " is " + described(found) + ", expected " + expected);
}

std::string ScenarioTable::text(const std::string& name, const std::string& fallback) {
  const auto* node = read(name);
  if (node == nullptr) return fallback;
  if (const auto* value = node->as_string()) return value->get();
  wrong(name, *node, "a text");
  return fallback;
}

std::string ScenarioTable::required_text(const std::string& name) {
  const std::string value = text(name, "");
  if (!has(name)) mistakes_.add(place(), title_ + " has no \"" + name + "\", expected a text");
  if (has(name) && value.empty() && table_.get(name)->is_string()) mistake(name, "\"" + name + "\" in " + title_ + " is empty");
  return value;
}

std::string ScenarioTable::choice(const std::string& name, const std::string& fallback,
                                  const std::vector<std::string>& options) {
  const std::string value = text(name, fallback);
  if (std::count(options.begin(), options.end(), value) > 0) return value;
  mistake(name, "\"" + value + "\" is no " + name + "." + suggestion(value, options));
  return fallback;
}

std::int64_t ScenarioTable::integer(const std::string& name, std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const auto* node = read(name);
  if (node == nullptr) return fallback;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() >= low && value->get() <= high) return value->get();
  wrong(name, *node, range_text("an integer", std::to_string(low), high == INT64_MAX ? "" : std::to_string(high)));
  return fallback;
}

double ScenarioTable::number(const std::string& name, double fallback, double low, double high) {
  const auto* node = read(name);
  if (node == nullptr) return fallback;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (value && *value >= low && *value <= high) return *value;
  wrong(name, *node, range_text("a number", number_text(low), high >= 1e300 ? "" : number_text(high)));
  return fallback;
}

bool ScenarioTable::flag(const std::string& name, bool fallback) {
  const auto* node = read(name);
  if (node == nullptr) return fallback;
  if (const auto* value = node->as_boolean()) return value->get();
  wrong(name, *node, "a flag (true or false)");
  return fallback;
}

std::vector<std::string> ScenarioTable::texts(const std::string& name, const std::vector<std::string>& fallback) {
  if (!has(name)) {
    read(name);
    return fallback;
  }
  std::vector<std::string> values;
  for (const auto* item : items(name)) {
    if (const auto* value = item->as_string()) {
      values.push_back(value->get());
    } else {
      wrong(name, *item, "a list of texts");
    }
  }
  return values;
}

std::vector<std::int64_t> ScenarioTable::integers(const std::string& name, const std::vector<std::int64_t>& fallback,
                                                  std::int64_t low) {
  if (!has(name)) {
    read(name);
    return fallback;
  }
  std::vector<std::int64_t> values;
  const auto listed = items(name);
  if (listed.empty()) {
    const auto* node = read(name);
    if (node->is_array()) wrong(name, *node, "at least one integer of at least " + std::to_string(low));
    return fallback;
  }
  for (const auto* item : listed) {
    const auto* value = item->as_integer();
    if (value != nullptr && value->get() >= low) {
      values.push_back(value->get());
    } else {
      wrong(name, *item, "a list of integers of at least " + std::to_string(low));
    }
  }
  return values;
}

const toml::table* ScenarioTable::table(const std::string& name) {
  const auto* node = read(name);
  if (node == nullptr || node->is_table()) return node == nullptr ? nullptr : node->as_table();
  wrong(name, *node, "a table");
  return nullptr;
}

ScenarioTable ScenarioTable::section(const std::string& name) {
  static const toml::table kEmpty;
  const auto* found = table(name);
  return ScenarioTable(found == nullptr ? kEmpty : *found, "[" + name + "]", mistakes_);
}

std::vector<const toml::node*> ScenarioTable::items(const std::string& name) {
  const auto* node = read(name);
  std::vector<const toml::node*> found;
  if (node == nullptr) return found;
  const auto* array = node->as_array();
  if (array == nullptr) {
    wrong(name, *node, "a list");
    return found;
  }
  for (const auto& item : *array) found.push_back(&item);
  return found;
}

std::vector<const toml::table*> ScenarioTable::tables(const std::string& name) {
  std::vector<const toml::table*> found;
  for (const auto* item : items(name)) {
    if (item->is_table()) {
      found.push_back(item->as_table());
    } else {
      wrong(name, *item, "a table");
    }
  }
  return found;
}

Params::State ScenarioTable::rest(const fs::path& folder) {
  Params::State state;
  state.folder = folder;
  for (const auto& [key, value] : table_) {
    const std::string name(key.str());
    if (std::count(known_.begin(), known_.end(), name) > 0) continue;
    known_.push_back(name);
    state.values[name] = to_json(value);
    state.places[name] = mistakes_.place(value.source());
  }
  return state;
}

void ScenarioTable::finish() {
  for (const auto& [key, value] : table_) {
    const std::string name(key.str());
    if (std::count(known_.begin(), known_.end(), name) > 0) continue;
    mistakes_.add(key.source(), title_ + " has no \"" + name + "\"." + suggestion(name, known_));
  }
}

toml::source_region ScenarioTable::place(const std::string& name) const {
  const auto* node = table_.get(name);
  return node == nullptr ? table_.source() : node->source();
}

void ScenarioTable::mistake(const std::string& name, const std::string& sentence) { mistakes_.add(place(name), sentence); }

}  // namespace holdfast
