#include <iostream>
#include <memory>
#include <utility>

#include "base/params_state.h"
#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "cli/stage_names.h"
#include "cli/verbs.h"
#include "judge/builtin_judges.h"
#include "plugin/plugin_kind.h"

namespace holdfast::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Preset by preset, as a scenario would write what it sets.
void print_card(const Json& card) {
  if (card.is_null()) return;
  std::cout << "source: " << card.at("source").get<std::string>() << "\n"
            << "cost: " << card.at("cost").get<std::string>() << "\n";
  for (const auto& preset : card.at("presets")) {
    std::cout << "preset = " << preset.at("name") << ":";
    for (const auto& [name, value] : preset.at("settings").items()) std::cout << " " << name << " = " << value;
    std::cout << "\n";
    const auto training = preset.at("training").get<std::string>();
    if (!training.empty()) std::cout << "    trained with " << training << "\n";
  }
}

void print_settings(const std::vector<ParamInfo>& settings) {
  if (settings.empty()) std::cout << "\nIt has no settings.\n";
  for (const auto& setting : settings) {
    std::cout << "\n  " << setting.name << " (" << setting.type << ", default " << setting.default_value << ")\n      "
              << setting.help << "\n";
  }
}

// What a constructor says and reads when it is given nothing. One that insists on a setting has declared those before it.
Params::State introduced(const PluginInfo& plugin, PluginHost& host) {
  Params::State state;
  try {
    host.make(plugin, state);
  } catch (const PluginFault&) {
    throw;
  } catch (const Error&) {
  }
  return state;
}

std::vector<ParamInfo> declared_settings(const JudgeInfo& judge) {
  const auto state = std::make_shared<Params::State>();
  Params params(state);
  try {
    make_builtin_judge(judge.name, params);
  } catch (const Error&) {
  }
  return state->declared;
}

void print_plugin(const PluginInfo& plugin, PluginHost& host) {
  std::cout << plugin.name << ": " << to_string(plugin.kind) << ", revision " << plugin.revision << "\n"
            << plugin.summary << "\n";
  if (plugin.kind == PluginKind::kDefense) std::cout << "stages: " << joined(stage_names(plugin.stages)) << "\n";
  std::cout << "from " << plugin.path.string() << "\n";
  const Params::State state = introduced(plugin, host);
  print_card(state.card);
  print_settings(state.declared);
}

void print_judge(const JudgeInfo& judge) {
  std::cout << judge.name << ": judge, revision " << judge.revision << "\n" << judge.summary << "\n";
  print_settings(declared_settings(judge));
}

Json json_of(const std::vector<ParamInfo>& settings) {
  Json list = Json::array();
  for (const auto& setting : settings) {
    list.push_back(
        {{"name", setting.name}, {"type", setting.type}, {"default", setting.default_value}, {"help", setting.help}});
  }
  return list;
}

Json json_of(const PluginInfo& plugin, PluginHost& host) {
  const Params::State state = introduced(plugin, host);
  Json described = {{"name", plugin.name},
                    {"kind", to_string(plugin.kind)},
                    {"revision", plugin.revision},
                    {"summary", plugin.summary},
                    {"library", plugin.path.string()},
                    {"card", state.card},
                    {"settings", json_of(state.declared)}};
  if (plugin.kind == PluginKind::kDefense) described["stages"] = stage_names(plugin.stages);
  return described;
}

Json json_of(const JudgeInfo& judge) {
  return {{"name", judge.name},       {"kind", "judge"}, {"revision", judge.revision},
          {"summary", judge.summary}, {"card", nullptr}, {"settings", json_of(declared_settings(judge))}};
}

// Takes those of a name, or all where there is none.
class Descriptions {
 public:
  explicit Descriptions(std::string name) : name_(std::move(name)) {}

  template <typename Described, typename Take>
  void add(const std::vector<Described>& all, const Take& take) {
    for (const auto& one : all) {
      known_.push_back(one.name);
      if (!name_.empty() && one.name != name_) continue;
      found_ = true;
      take(one);
    }
  }

  void finish(const std::vector<RefusedPlugin>& refused) const {
    if (found_ || name_.empty()) return;
    for (const auto& one : refused) {
      if (one.path.filename() == name_ + ".plugin.so") throw Error("the plugin \"" + name_ + "\" was refused: " + one.reason);
    }
    throw Error("there is no attack, defense or judge \"" + name_ + "\"." + suggestion(name_, known_));
  }

 private:
  std::string name_;
  std::vector<std::string> known_;
  bool found_ = false;
};

void describe(const std::string& name, PluginHost host) {
  Descriptions descriptions(name);
  bool is_first = true;
  const auto between = [&is_first] { std::cout << (std::exchange(is_first, false) ? "" : "\n"); };
  descriptions.add(host.loaded(), [&](const PluginInfo& plugin) {
    between();
    print_plugin(plugin, host);
  });
  descriptions.add(builtin_judges(), [&](const JudgeInfo& judge) {
    between();
    print_judge(judge);
  });
  descriptions.finish(host.refused());
}

// One of that name, several, or all where there is no name.
void describe_as_json(const std::string& name, PluginHost host) {
  Json list = Json::array();
  Descriptions descriptions(name);
  descriptions.add(host.loaded(), [&](const PluginInfo& plugin) { list.push_back(json_of(plugin, host)); });
  descriptions.add(builtin_judges(), [&](const JudgeInfo& judge) { list.push_back(json_of(judge)); });
  descriptions.finish(host.refused());
  std::cout << list.dump(2) << "\n";
}

}  // namespace

void add_describe(CLI::App& app) {
  auto* verb = app.add_subcommand("describe", "Say what an attack, defense or judge does and what can be set");
  const auto name = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  verb->add_option("name", *name, "As holdfast list prints it; with --json it may be left out, for all there are");
  verb->add_flag("--json", *json, "Print a JSON array, one object a plugin");
  verb->callback([name, json, &app] {
    if (name->empty() && !*json) throw Error("describe takes the name of an attack, defense or judge; see holdfast list");
    *json ? describe_as_json(*name, load_plugins(app)) : describe(*name, load_plugins(app));
  });
}

}  // namespace holdfast::cli
