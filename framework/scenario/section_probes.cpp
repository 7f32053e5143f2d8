// `probes`, `held_out` and `utility` of [evaluate]: what each model is asked and measured on.
#include <holdfast/error.h>

#include "scenario/sections.h"

namespace holdfast {
namespace {

const std::string kOrganismTasks = "builtin:organism/tasks";

}  // namespace

void read_probes(Reading& reading, ScenarioTable& table) {
  const auto probes = table.texts("probes", {"builtin:organism/probes"});
  const auto utility =
      table.texts("utility", reading.organism_only ? std::vector<std::string>{"organism-tasks"} : std::vector<std::string>{});
  const auto held_out = table.texts("held_out", {});
  for (auto& model : reading.scenario.models) {
    if (!table.has("probes") && model.source != "organism") {
      table.mistake("probes", "[evaluate] has no \"probes\" for model \"" + model.name + "\", expected a list of files");
      continue;
    }
    Dataset rows;
    const auto add = [&](const std::string& key, const std::string& text) {
      Dataset more;
      auto source = read_data(reading, table, key, text, &more);
      if (!source) return;
      if (key == "utility") source->tasks = text == kOrganismTasks ? "organism-tasks" : fs::path(text).stem().string();
      source->held_out = key == "held_out";
      mark_rows(more, *source);
      model.probes.push_back(*source);
      rows.insert(rows.end(), more.begin(), more.end());
    };
    for (const auto& text : probes) add("probes", text);
    for (const auto& text : held_out) add("held_out", text);
    for (const auto& text : utility) add("utility", text == "organism-tasks" ? kOrganismTasks : text);
    try {
      model.probe_rows = probe_rows(rows, reading.scenario.limit);
    } catch (const Error& error) {
      table.mistake("probes", error.what());
    }
  }
}

}  // namespace holdfast
