// [leaderboard]: by which rules the board counts and compares.
#include <holdfast/error.h>

#include "scenario/sections.h"

namespace holdfast {
namespace {

Json reference(const fs::path& path) {
  const Json controls = parse_json(read_file(path), path.string());
  if (!controls.is_object() || !controls.contains("controls") || !controls.at("controls").is_array()) {
    throw Error(path.string() + " holds no \"controls\", expected the controls.json of another run (docs/results.md)");
  }
  return controls;
}

}  // namespace

void read_leaderboard(Reading& reading, ScenarioTable& root) {
  ScenarioTable table = root.section("leaderboard");
  reading.scenario.utility_bound = table.number("utility_bound", reading.scenario.utility_bound, 0, 1);
  if (table.has("reference")) {
    const std::string text = table.required_text("reference");
    try {
      reading.scenario.reference = reference(resolve_path(text, reading.scenario.folder));
    } catch (const Error& error) {
      table.mistake("reference", error.what());
    }
  }
  table.finish();
}

}  // namespace holdfast
