#include "results/generations.h"

#include "data/conversation.h"

namespace holdfast {

// "asked" and "prompt" are there only where they differ from what came before, "cut" only where it is true.
void write_generations(const fs::path& path, const std::vector<Generation>& generations) {
  std::string text;
  for (const auto& each : generations) {
    Json row = {{"id", each.id}, {"tags", each.tags}, {"probe", to_json(each.probe)}, {"reply", each.reply}};
    if (each.asked != each.probe) row["asked"] = to_json(each.asked);
    if (each.prompt != each.asked) row["prompt"] = to_json(each.prompt);
    if (each.cut) row["cut"] = true;
    text += canonical(row) + "\n";
  }
  write_file(path, text);
}

std::vector<Generation> read_generations(const fs::path& path) {
  std::vector<Generation> generations;
  read_jsonl(path, [&](const Json& row, std::int64_t) {
    Generation each;
    row.at("id").get_to(each.id);
    row.at("tags").get_to(each.tags);
    each.probe = conversation_from_json(row.at("probe"));
    each.asked = row.contains("asked") ? conversation_from_json(row.at("asked")) : each.probe;
    each.prompt = row.contains("prompt") ? conversation_from_json(row.at("prompt")) : each.asked;
    row.at("reply").get_to(each.reply);
    each.cut = row.value("cut", false);
    generations.push_back(std::move(each));
  });
  return generations;
}

}  // namespace holdfast
