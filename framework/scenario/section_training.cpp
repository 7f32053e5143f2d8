// [align] and [finetune]: how the provider and the customer train.
#include "learn/training_options.h"
#include "scenario/declared_options.h"
#include "scenario/sections.h"

namespace holdfast {

void read_training(Reading& reading, ScenarioTable& root) {
  if (const auto* section = root.table("align")) {
    ScenarioTable table(*section, "[align]", reading.mistakes);
    reading.scenario.aligns = true;
    const std::string text = table.text("data", reading.organism_only ? "builtin:organism/alignment" : "");
    if (text.empty()) {
      table.mistake("data", "[align] has no \"data\", expected the rows to align with (a file, or builtin:organism/alignment)");
    } else {
      reading.alignment = read_data(reading, table, "data", text);
    }
    if (table.has("seed")) reading.scenario.align_seed = table.integer("seed", 1, 0);
    reading.scenario.align = read_options(table, training_options(), {});
    table.finish();
  }
  if (const auto* section = root.table("finetune")) {
    ScenarioTable table(*section, "[finetune]", reading.mistakes);
    reading.scenario.finetune = read_options(table, training_options(), {});
    table.finish();
  }
}

}  // namespace holdfast
