// [corpora]: rows that plugins ask for by name.
#include <holdfast/error.h>

#include "scenario/sections.h"

namespace holdfast {
namespace {

struct Corpus {
  std::string data;
  DataPart part;
};

// `name = "rows.jsonl"`, or a part of a file: `name = { data = "rows.jsonl", part = "1/2" }`.
std::optional<Corpus> corpus_of(ScenarioTable& table, const std::string& name, const toml::node& value, Mistakes& mistakes) {
  const auto* parts = value.as_table();
  if (parts == nullptr) return Corpus{table.text(name, ""), {}};
  table.table(name);  // is read
  ScenarioTable own(*parts, "the corpus \"" + name + "\"", mistakes);
  Corpus corpus{own.required_text("data"), {}};
  const std::string part = own.required_text("part");
  own.finish();
  if (corpus.data.empty() || part.empty()) return std::nullopt;
  try {
    corpus.part = data_part(part);
  } catch (const Error& error) {
    own.mistake("part", error.what());
    return std::nullopt;
  }
  return corpus;
}

// A defense that knows the very rows that attack it is flattered.
void check_apart(ScenarioTable& table, const Dataset& attackers, const Dataset& defenders) {
  std::set<std::string> prompts;
  for (const auto& row : attackers) prompts.insert(last_content(row.messages, "user"));
  std::int64_t common = 0;
  for (const auto& row : defenders) common += prompts.contains(last_content(row.messages, "user")) ? 1 : 0;
  if (common == 0) return;
  table.mistake("defender-harmful", std::to_string(common) + " of the " + std::to_string(defenders.size()) +
                                        " prompts of \"defender-harmful\" are also in \"harmful\", which the attacker "
                                        "holds: take other rows, or two parts of one file (part = \"1/2\" and \"2/2\")");
}

}  // namespace

void read_corpora(Reading& reading, ScenarioTable& root) {
  const auto* section = root.table("corpora");
  if (section == nullptr) return;
  ScenarioTable table(*section, "[corpora]", reading.mistakes);
  std::map<std::string, Dataset> rows;
  for (const auto& [key, value] : *section) {
    const std::string name(key.str());
    const auto corpus = corpus_of(table, name, value, reading.mistakes);
    if (!corpus || corpus->data.empty()) continue;
    const auto source = read_data(reading, table, name, corpus->data, &rows[name], corpus->part);
    if (source) reading.corpora[name] = *source;
  }
  check_apart(table, rows["harmful"], rows["defender-harmful"]);
}

}  // namespace holdfast
