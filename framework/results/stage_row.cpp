#include "results/stage_row.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

StageRow stage_row(const Json& json, const std::string& place) {
  try {
    StageRow row;
    json.at("key").get_to(row.key);
    json.at("kind").get_to(row.kind);
    row.plugin = json.value("plugin", "");
    row.device = json.value("device", "");
    row.inputs = json.value("inputs", row.inputs);
    row.cost = json.value("cost", row.cost);
    row.reports = json.value("reports", row.reports);
    row.versions = json.value("versions", row.versions);
    return row;
  } catch (const Json::exception&) {
    throw Error(place + " is not a stage: expected \"key\" and \"kind\" (docs/results.md)");
  }
}

}  // namespace

Json to_json(const StageRow& row) {
  return {{"key", row.key},       {"kind", row.kind}, {"plugin", row.plugin},   {"device", row.device},
          {"inputs", row.inputs}, {"cost", row.cost}, {"reports", row.reports}, {"versions", row.versions}};
}

fs::path stages_file(const fs::path& results_folder) { return results_folder / "stages.jsonl"; }

void read_stage_rows(const fs::path& results_folder, const std::function<void(StageRow)>& visit) {
  const fs::path file = stages_file(results_folder);
  if (!fs::exists(file)) return;
  read_jsonl(file, [&](const Json& json, std::int64_t number) {
    visit(stage_row(json, file.string() + ":" + std::to_string(number)));
  });
}

}  // namespace holdfast
