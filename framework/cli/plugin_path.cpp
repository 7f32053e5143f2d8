#include "cli/plugin_path.h"

#include "base/engine_program.h"
#include "plugin/library.h"

namespace holdfast::cli {
namespace {

constexpr char kOption[] = "--plugin-path";
constexpr char kHelp[] = "Folder with more *.plugin.so, searched first; may be repeated";

}  // namespace

void add_plugin_path(CLI::App& app) {
  app.add_option(kOption, kHelp)->type_name("DIR")->expected(1)->take_all()->allow_extra_args(false);
  for (auto* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    verb->fallthrough();
    verb->footer(std::string("Also: ") + kOption + " DIR  " + kHelp);
  }
}

std::vector<std::string> given_plugin_path(const CLI::App& app) {
  const auto* option = app.get_option(kOption);
  return option->empty() ? std::vector<std::string>{} : option->as<std::vector<std::string>>();
}

PluginHost load_plugins(const CLI::App& app) { return {engine_program(), plugin_folders(given_plugin_path(app))}; }

}  // namespace holdfast::cli
