#include "submission/entry.h"

#include <holdfast/error.h>

#include <map>
#include <set>

#include "base/keyed_files.h"
#include "results/run_facts.h"

namespace holdfast {
namespace {

void drop_places(Json& value) {
  if (value.is_object() && value.contains("digest") && value.contains("location")) {
    if (!is_builtin(value.at("location").get<std::string>())) value.erase("location");
  }
  if (!value.is_structured()) return;
  for (auto& part : value) drop_places(part);
}

}  // namespace

Entry read_entry(const fs::path& folder) {
  Entry entry{folder, read_run_file(folder), {}};
  if (entry.run.is_null() || !fs::exists(cells_file(folder))) {
    throw Error(folder.string() +
                " holds no run.json and cells.jsonl: give the results folder of a scenario, such as results/leaderboard, after "
                "holdfast run");
  }
  if (!entry.run.is_object() || !entry.run.contains("scenario") || !entry.run.contains("libraries")) {
    throw Error((folder / "run.json").string() +
                " does not say what was run: run the scenario again with this version to write it anew");
  }
  std::map<CellName, std::size_t> places;
  read_cell_rows(cells_file(folder), [&](CellRow row) {
    const auto [place, fresh] = places.emplace(name_of(row), entry.rows.size());
    if (fresh) entry.rows.emplace_back();
    entry.rows[place->second] = std::move(row);
  });
  return entry;
}

CellName name_of(const CellRow& row) { return {row.model, row.attack, row.defense, row.seed}; }

Json without_places(const Json& scenario) {
  Json kept = scenario;
  for (const char* name : {"name", "workers", "threads", "memory_limit_gib", "disk_budget_gib"}) kept.erase(name);
  for (auto& model : kept.at("models")) {
    for (const char* name : {"source", "base"}) {
      if (model.contains(name)) model[name] = fs::path(model.at(name).get<std::string>()).filename().string();
    }
  }
  drop_places(kept);
  return kept;
}

std::vector<std::string> differing(const Json& a, const Json& b) {
  std::set<std::string> names;
  for (const auto* each : {&a, &b}) {
    for (const auto& [name, unused] : each->items()) names.insert(name);
  }
  std::vector<std::string> found;
  for (const auto& name : names) {
    if (a.value(name, Json()) != b.value(name, Json())) found.push_back(name);
  }
  return found;
}

}  // namespace holdfast
