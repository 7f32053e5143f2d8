#include <holdfast/attack.h>
#include <holdfast/defense.h>

#include <iostream>
#include <memory>

#include "base/params_state.h"
#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "cli/stage_names.h"
#include "cli/verbs.h"
#include "judge/judge.h"

namespace holdfast::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What a constructor reads when it is given nothing. One that insists on a setting has declared those before it.
template <typename Construct>
std::vector<ParamInfo> declared_settings(Construct construct) {
  const auto state = std::make_shared<Params::State>();
  Params params(state);
  try {
    construct(params);
  } catch (const Error&) {
  }
  return state->declared;
}

void print_settings(const std::vector<ParamInfo>& settings) {
  if (settings.empty()) std::cout << "\nIt has no settings.\n";
  for (const auto& setting : settings) {
    std::cout << "\n  " << setting.name << " (" << setting.type << ", default " << setting.default_value << ")\n      "
              << setting.help << "\n";
  }
}

void print_plugin(const LoadedPlugin& loaded) {
  const Plugin& plugin = *loaded.plugin;
  const bool attack = plugin.kind == PluginKind::kAttack;
  std::cout << plugin.name << ": " << (attack ? "attack" : "defense") << ", revision " << plugin.revision << "\n"
            << plugin.summary << "\n";
  if (!attack) std::cout << "stages: " << joined(stage_names(plugin.stages)) << "\n";
  std::cout << "from " << loaded.path.string() << "\n";
  print_settings(declared_settings([&](Params& params) {
    if (attack) {
      plugin.make_attack(params);
    } else {
      plugin.make_defense(params);
    }
  }));
}

void print_judge(const JudgeInfo& judge) {
  std::cout << judge.name << ": judge, revision " << judge.revision << "\n" << judge.summary << "\n";
  print_settings(declared_settings([&](Params& params) { make_judge(judge.name, params); }));
}

void describe(const std::string& name, const Registry& registry) {
  std::vector<std::string> known;
  bool found = false;
  for (const auto& loaded : registry.loaded()) {
    known.push_back(loaded.plugin->name);
    if (known.back() != name) continue;
    if (found) std::cout << "\n";
    print_plugin(loaded);
    found = true;
  }
  for (const auto& judge : judges()) {
    known.push_back(judge.name);
    if (judge.name != name) continue;
    if (found) std::cout << "\n";
    print_judge(judge);
    found = true;
  }
  if (!found) throw Error("there is no attack, defense or judge \"" + name + "\"." + suggestion(name, known));
}

}  // namespace

void add_describe(CLI::App& app) {
  auto* verb = app.add_subcommand("describe", "Say what an attack, defense or judge does and what can be set");
  const auto name = std::make_shared<std::string>();
  verb->add_option("name", *name, "As holdfast list prints it")->required();
  verb->callback([name, &app] { describe(*name, load_plugins(app)); });
}

}  // namespace holdfast::cli
