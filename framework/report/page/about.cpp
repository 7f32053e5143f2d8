#include "report/page/about.h"

#include <algorithm>
#include <set>

#include "report/figures.h"
#include "report/page/markup.h"

namespace holdfast {
namespace {

constexpr std::size_t kDigestDigits = 16;  // of a digest, for eyes

std::string folder_name(const fs::path& folder) {
  const fs::path whole = folder.lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

std::string fact(const std::string& name, const std::string& value) {
  return value.empty() ? "" : "<div><dt>" + name + "<dd>" + escaped(value) + "</div>";
}

void add_name(std::string& names, const std::string& name) {
  if ((", " + names + ", ").find(", " + name + ", ") == std::string::npos) names += (names.empty() ? "" : ", ") + name;
}

Json scenario_of(const Json& run) { return run.is_object() ? run.value("scenario", Json::object()) : Json::object(); }

std::string versions_of(const Json& run) {
  std::string text;
  if (!run.is_object() || !run.contains("versions")) return text;
  for (const auto& [name, version] : run.at("versions").items()) {
    if (version.is_string()) text += (text.empty() ? "" : ", ") + name + " " + version.get<std::string>();
  }
  return text;
}

}  // namespace

RunsAbout::RunsAbout(const Results& results) : results_(results), title_(results.facts.scenario) {
  for (const auto& folder : results.folders) {
    runs_.push_back(read_run_file(folder));
    folders_.push_back(folder_name(folder));
  }
  if (!title_.empty()) return;
  for (const auto& folder : folders_) title_ += (title_.empty() ? "" : " + ") + folder;
}

std::string RunsAbout::names(const std::string& list) const {
  std::string names;
  for (const auto& run : runs_) {
    const Json scenario = scenario_of(run);
    if (!scenario.contains(list)) continue;
    for (const auto& item : scenario.at(list)) {
      if (item.is_object() && item.contains("name")) add_name(names, item.at("name").get<std::string>());
    }
  }
  return names;
}

std::string RunsAbout::head() const {
  std::set<std::int64_t> seeds;
  std::int64_t cells = 0;
  for (const auto& group : results_.groups) {
    cells += static_cast<std::int64_t>(group.rows.size());
    for (const auto& row : group.rows) seeds.insert(row.seed);
  }
  const auto is_attack = [](const std::string& name) { return name != "none" && wrapped_attack(name).empty(); };
  const auto is_defense = [](const std::string& name) { return name != "none"; };
  const auto attacks = std::count_if(results_.attacks.begin(), results_.attacks.end(), is_attack);
  const auto defenses = std::count_if(results_.defenses.begin(), results_.defenses.end(), is_defense);
  std::string seed_list, models, versions;
  for (const auto seed : seeds) add_name(seed_list, std::to_string(seed));
  for (const auto& model : results_.models) add_name(models, model);
  for (const auto& run : runs_) {
    const std::string text = versions_of(run);
    if (!text.empty()) add_name(versions, text);
  }
  return "<h1>" + escaped(title_) +
         "</h1>\n<p class=sub>What is left of a model's safety after somebody fine-tunes it: " + counted(attacks, "attack") +
         " on " + counted(defenses, "defense") + " and on the undefended model, " + counted(cells, "cell") +
         ".</p>\n<dl class=facts>" + fact(results_.models.size() == 1 ? "model" : "models", models) + fact("seeds", seed_list) +
         fact("judges", names("judges")) + fact("moderators", names("moderators")) + fact("made by", versions) + "</dl>\n";
}

std::string RunsAbout::provenance() const {
  TextTable runs{{"results", "scenario", "cells", "failed", "made by"}, {}};
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    std::size_t cells = 0, failed = 0;
    for (const auto& group : results_.groups) {
      for (const auto& row : group.rows) {
        if (row.folder != results_.folders[i]) continue;
        ++cells;
        failed += row.ok() ? 0 : 1;
      }
    }
    runs.rows.push_back({{folders_[i]},
                         {scenario_of(runs_[i]).value("name", "-")},
                         {std::to_string(cells)},
                         {std::to_string(failed)},
                         {versions_of(runs_[i])}});
  }
  TextTable definitions{{"what", "digest begins"}, {}};
  for (const auto& [name, digest] : results_.facts.definitions)
    definitions.rows.push_back({{name}, {digest.substr(0, kDigestDigits)}});
  return html_table("Runs", runs) +
         "<p>Every figure follows from the rows in cells.jsonl, stages.jsonl and samples/ of these folders; run.json there "
         "holds "
         "each scenario as it was understood.</p>\n<pre>" +
         escaped(commands() + "\nholdfast leaderboard" +
                 [&] {
                   std::string all;
                   for (const auto& folder : folders_) all += " results/" + folder;
                   return all;
                 }()) +
         "</pre>\n" + folded("Definitions that must agree before runs stand on one board", html_table("", definitions));
}

Json RunsAbout::settings() const {
  Json all = {{"attacks", Json::object()}, {"defenses", Json::object()}};
  for (const auto& run : runs_) {
    const Json scenario = scenario_of(run);
    for (const auto* list : {"attacks", "defenses"}) {
      if (!scenario.contains(list)) continue;
      for (Json item : scenario.at(list)) {
        if (!item.is_object() || !item.contains("name")) continue;
        const std::string name = item.at("name").get<std::string>();
        item.erase("name");
        all[list].emplace(name, std::move(item));
      }
    }
  }
  return all;
}

std::string RunsAbout::commands() const {
  std::string lines;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const std::string name = scenario_of(runs_[i]).value("name", folders_[i]);
    lines += (lines.empty() ? "" : "\n") + std::string("holdfast run ") + name + ".toml   # the scenario of that name";
  }
  return lines;
}

std::string RunsAbout::results_folder() const { return "results/" + folders_.front(); }

}  // namespace holdfast
