// `judges` of [evaluate]: who scores the replies.
#include <algorithm>

#include "base/suggest.h"
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

PluginUse judge_use(Reading& reading, const std::string& name, ScenarioTable& table) {
  PluginUse use;
  use.name = name;
  for (const auto& info : judges()) {
    if (info.name == name) use.revision = info.revision;
  }
  construct(reading, table, "name", use, [&](const std::shared_ptr<Params::State>& state) {
    Params params(state);
    use.needs = make_judge(name, params)->needs();
  });
  if (!use.needs.model.empty()) use.needs.model = model_path(reading, use.needs.model, table, "model");
  return use;
}

// Two of one name need settings and metrics that differ.
void check_twice(Reading& reading, const PluginUse& use, const toml::source_region& place) {
  const std::string what = "the judge \"" + use.name + "\" is named twice ";
  for (const auto& other : reading.scenario.judges) {
    if (other.name != use.name) continue;
    if (other.resolved == use.resolved) {
      reading.mistakes.add(place, what + "with the same settings");
    } else if (use.resolved.contains("id") && other.resolved.value("id", Json()) == use.resolved.at("id")) {
      reading.mistakes.add(place, what + "and both would give the same metrics: give one of them an id (id = \"b\")");
    }
  }
}

}  // namespace

void read_judges(Reading& reading, ScenarioTable& table) {
  static const toml::array kDefault{"organism", "keyword", "coherence"};
  static const toml::array kDefaultOther{"keyword", "coherence"};
  std::vector<const toml::node*> items = table.items("judges");
  if (!table.has("judges")) {
    for (const auto& item : reading.organism_only ? kDefault : kDefaultOther) items.push_back(&item);
  }
  std::vector<std::string> known;
  for (const auto& info : judges()) known.push_back(info.name);
  for (const auto* item : items) {
    toml::table named;
    if (const auto* name = item->as_string()) named.insert("name", name->get());
    const toml::table* toml = item->is_string() ? &named : item->as_table();
    if (toml == nullptr) {
      reading.mistakes.add(item->source(), "a judge is " + described(*item) + ", expected its name or {name = ..., settings}");
      continue;
    }
    ScenarioTable judge(*toml, "a judge", reading.mistakes);
    const std::string name = judge.required_text("name");
    if (std::count(known.begin(), known.end(), name) == 0) {
      reading.mistakes.add(item->source(), "there is no judge \"" + name + "\"." + suggestion(name, known));
      continue;
    }
    PluginUse use = judge_use(reading, name, judge);
    check_twice(reading, use, item->source());
    reading.scenario.judges.push_back(std::move(use));
  }
}

void add_standing_judges(Reading& reading) {
  std::vector<std::string> needed = {"coherence"};
  for (const auto& model : reading.scenario.models) {
    const auto& asked = model.probe_rows.asked;
    const bool tasks = std::any_of(asked.begin(), asked.end(), [](const Example& row) { return row.tags.contains("metric"); });
    if (tasks) needed.emplace_back("tasks");
  }
  for (const auto& name : needed) {
    const auto is = [&](const PluginUse& use) { return use.name == name; };
    if (std::any_of(reading.scenario.judges.begin(), reading.scenario.judges.end(), is)) continue;
    static const toml::table kEmpty;
    ScenarioTable table(kEmpty, "a judge", reading.mistakes);
    reading.scenario.judges.push_back(judge_use(reading, name, table));
  }
}

}  // namespace holdfast
