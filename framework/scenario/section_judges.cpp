// `judges` of [evaluate]: who scores the replies.
#include <algorithm>

#include "base/suggest.h"
#include "judge/builtin_judges.h"
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

PluginUse builtin_use(const JudgeInfo& judge) {
  PluginUse use;
  use.name = judge.name;
  use.revision = judge.revision;
  return use;
}

std::optional<PluginUse> refused_use(Reading& reading, const std::string& name, const toml::source_region& place) {
  for (const auto& refused : reading.plugins.refused()) {
    if (refused.path.filename() != name + ".plugin.so") continue;
    if (!refused.is_faulty) {
      reading.mistakes.add(place, "the judge plugin \"" + name + "\" was refused: " + refused.reason);
      return std::nullopt;
    }
    PluginUse use;
    use.name = name;
    use.fault = refused.reason;
    return use;
  }
  std::vector<std::string> known = reading.plugins.names(PluginKind::kJudge);
  for (const auto& info : builtin_judges()) known.push_back(info.name);
  reading.mistakes.add(place, "there is no judge \"" + name + "\"." + suggestion(name, known));
  return std::nullopt;
}

// A judge of the matrix itself, or the plugin of that name; none, and a mistake at `place`, when there is neither.
std::optional<PluginUse> find_judge(Reading& reading, const std::string& name, const toml::source_region& place) {
  const JudgeInfo* builtin = find_builtin_judge(name);
  const PluginInfo* plugin = reading.plugins.find(PluginKind::kJudge, name);
  if (builtin != nullptr && plugin != nullptr) {
    reading.mistakes.add(place, "the judge \"" + name + "\" is a part of holdfast, and the plugin " + plugin->path.string() +
                                    " has the same name: give it another one");
    return std::nullopt;
  }
  if (builtin != nullptr) return builtin_use(*builtin);
  if (plugin == nullptr) return refused_use(reading, name, place);
  PluginUse use;
  use.name = name;
  use.revision = plugin->revision;
  use.library = plugin->path;
  use.library_digest = plugin->digest;
  return use;
}

// No perplexity is had of a model behind a provider's interface; where there is one, none is looked at unless it is asked for.
Params::State judge_settings(Reading& reading, ScenarioTable& table, const PluginUse& use) {
  Params::State given = given_settings(reading, table);
  const auto& models = reading.scenario.models;
  const bool blind =
      std::any_of(models.begin(), models.end(), [](const ModelSpec& model) { return model.provider.has_value(); });
  if (blind && use.library.empty() && use.name == "coherence" && !given.values.contains("perplexity")) {
    given.values["perplexity"] = 0.0;
  }
  return given;
}

void construct_judge(Reading& reading, ScenarioTable& table, PluginUse& use) {
  construct(reading, table, "name", judge_settings(reading, table, use), use, [&](const std::shared_ptr<Params::State>& state) {
    if (!use.library.empty()) {
      use.needs = reading.plugins.make(*reading.plugins.find(PluginKind::kJudge, use.name), *state).judge;
    } else {
      Params params(state);
      use.needs = make_builtin_judge(use.name, params)->needs();
    }
  });
  if (!use.needs.model.empty()) use.needs.model = model_path(reading, use.needs.model, table, "model");
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
    std::optional<PluginUse> use = find_judge(reading, name, item->source());
    if (!use) continue;
    construct_judge(reading, judge, *use);
    check_twice(reading, *use, item->source());
    reading.scenario.judges.push_back(std::move(*use));
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
    PluginUse use = builtin_use(*find_builtin_judge(name));
    construct_judge(reading, table, use);
    reading.scenario.judges.push_back(std::move(use));
  }
}

}  // namespace holdfast
