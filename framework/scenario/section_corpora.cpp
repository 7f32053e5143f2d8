// [corpora]: rows that plugins ask for by name.
#include "scenario/sections.h"

namespace holdfast {

void read_corpora(Reading& reading, ScenarioTable& root) {
  const auto* section = root.table("corpora");
  if (section == nullptr) return;
  ScenarioTable table(*section, "[corpora]", reading.mistakes);
  for (const auto& [key, value] : *section) {
    const std::string name(key.str());
    const std::string text = table.text(name, "");
    if (text.empty()) continue;
    if (const auto source = read_data(reading, table, name, text)) reading.corpora[name] = *source;
  }
}

}  // namespace holdfast
