// [evaluate]: how replies are sampled, and by whom and on what the models are judged.
#include "learn/training_options.h"
#include "scenario/declared_options.h"
#include "scenario/sections.h"

namespace holdfast {

void read_evaluate(Reading& reading, ScenarioTable& root) {
  ScenarioTable table = root.section("evaluate");
  reading.scenario.generate = read_options(table, generate_options(), {});
  reading.scenario.limit = table.integer("limit", 0, 0);
  reading.scenario.customer = table.flag("customer", false);
  read_judges(reading, table);
  read_probes(reading, table);
  add_standing_judges(reading);
  table.finish();
}

}  // namespace holdfast
