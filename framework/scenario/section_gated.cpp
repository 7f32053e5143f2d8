// [[gated]]: files that may not be passed on, and may be missing while a plan is made.
#include "base/untrusted.h"
#include "scenario/sections.h"

namespace holdfast {

void read_gated(Reading& reading, ScenarioTable& root) {
  for (const auto* toml : root.tables("gated")) {
    ScenarioTable table(*toml, "[[gated]]", reading.mistakes);
    const std::string file = table.required_text("file");
    const std::string what = table.required_text("what");
    const std::string source = table.required_text("source");
    table.finish();
    const fs::path path = resolve_path(file, reading.scenario.folder);
    if (file.empty() || is_there(path)) continue;
    reading.missing.insert(path);
    reading.scenario.missing.push_back(reading.mistakes.place(table.place("file")) + ": the gated file " + file +
                                       " is missing (" + what + "): get it from " + source + " and put it at " + path.string());
  }
}

}  // namespace holdfast
