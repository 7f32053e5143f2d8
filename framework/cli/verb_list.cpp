#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/json.h"
#include "cli/plugin_path.h"
#include "cli/stage_names.h"
#include "cli/verbs.h"
#include "judge/builtin_judges.h"
#include "organism/organism.h"

namespace holdfast::cli {
namespace {

// Checkpoints that tools/fetch-model put under models/ of the current folder.
std::vector<std::string> fetched_models() {
  std::vector<std::string> paths;
  if (!fs::is_directory("models")) return paths;
  for (const auto& entry : fs::directory_iterator("models")) {
    if (entry.path().extension() == ".gguf" || fs::exists(entry.path() / "config.json")) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Json entry(const std::string& name, const std::string& summary) { return {{"name", name}, {"summary", summary}}; }

Json plugins(const PluginHost& host, PluginKind kind) {
  Json list = Json::array();
  for (const auto& name : host.names(kind)) {
    const PluginInfo& plugin = *host.find(kind, name);
    Json described = entry(name, plugin.summary);
    described["revision"] = plugin.revision;
    if (kind == PluginKind::kDefense) described["stages"] = stage_names(plugin.stages);
    list.push_back(described);
  }
  return list;
}

Json everything(const PluginHost& host) {
  Json all = {{"attacks", plugins(host, PluginKind::kAttack)},
              {"defenses", plugins(host, PluginKind::kDefense)},
              {"judges", plugins(host, PluginKind::kJudge)},
              {"models", Json::array()},
              {"corpora", Json::array()},
              {"refused", Json::array()}};
  for (const auto& judge : builtin_judges()) {
    all["judges"].push_back(entry(judge.name, judge.summary));
    all["judges"].back()["revision"] = judge.revision;
  }
  all["models"].push_back(entry("organism", "The built-in model organism (docs/organism.md)."));
  for (const auto& path : fetched_models()) all["models"].push_back(entry(path, ""));
  for (const auto& name : organism::corpus_names()) all["corpora"].push_back(entry("builtin:organism/" + name, ""));
  for (const auto& refused : host.refused()) all["refused"].push_back(refused.reason);
  return all;
}

std::string stages_of(const Json& item) {
  std::string text;
  for (const auto& stage : item.value("stages", Json::array())) text += (text.empty() ? " [" : ", ") + stage.get<std::string>();
  return text.empty() ? "" : text + "]";
}

void print(const Json& all) {
  for (const std::string kind : {"attacks", "defenses", "judges", "models", "corpora"}) {
    std::printf("%s\n", kind.c_str());
    for (const auto& item : all.at(kind)) {
      const std::string name = item.at("name");
      const std::string said = item.at("summary").get<std::string>() + stages_of(item);
      std::printf("  %-20s %s\n", name.c_str(), said.c_str());
    }
  }
  for (const std::string reason : all.at("refused")) std::printf("refused: %s\n", reason.c_str());
}

}  // namespace

void add_list(CLI::App& app) {
  auto* verb = app.add_subcommand("list", "List attacks, defenses, judges, models and built-in corpora");
  const auto json = std::make_shared<bool>(false);
  verb->add_flag("--json", *json, "Print one JSON object");
  verb->callback([json, &app] {
    const Json all = everything(load_plugins(app));
    if (*json) {
      std::printf("%s\n", all.dump(2).c_str());
    } else {
      print(all);
    }
  });
}

}  // namespace holdfast::cli
