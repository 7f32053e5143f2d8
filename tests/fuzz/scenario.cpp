// A scenario: its TOML, and the values of its tables as the sections' readers ask for them, without the files and plugins that
// they name.
#include "fuzz/fuzz.h"
#include "learn/training_options.h"
#include "scenario/declared_options.h"

namespace holdfast::fuzz {
namespace {

void read_settings(ScenarioTable table) {
  table.text("name", "");
  table.integers("seeds", {1}, 1);
  table.integer("workers", 1, 1, 256);
  table.number("stage_timeout", 7200, 0.01);
  table.texts("judges", {});
  table.finish();
}

void read_plugin(const toml::table& toml, const std::string& title, Mistakes& mistakes) {
  ScenarioTable table(toml, title, mistakes);
  table.required_text("plugin");
  table.choice("threat", "api", {"api", "weights"});
  table.flag("wraps", false);
  if (const auto* training = table.table("finetune")) {
    ScenarioTable own(*training, title + ".finetune", mistakes);
    read_options(own, training_options(), {});
    own.finish();
  }
  canonical(table.rest("/").values);
}

void read(std::string_view input) {
  const toml::table toml = parse_toml(std::string(input), "scenario.toml");
  Mistakes mistakes("scenario.toml");
  ScenarioTable root(toml, "the scenario", mistakes);
  read_settings(root.section("scenario"));
  for (const char* section : {"align", "finetune"}) {
    if (const auto* training = root.table(section)) {
      ScenarioTable table(*training, section, mistakes);
      read_options(table, training_options(), {});
      table.finish();
    }
  }
  for (const char* kind : {"attack", "defense"}) {
    for (const auto* plugin : root.tables(kind)) read_plugin(*plugin, "[[" + std::string(kind) + "]]", mistakes);
  }
  root.finish();
  mistakes.throw_if_any();
}

const Added added("scenario", read);

}  // namespace
}  // namespace holdfast::fuzz
