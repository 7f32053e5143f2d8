#include "cli/closed_division.h"

#include <holdfast/error.h>

#include "cli/plugin_path.h"
#include "scenario/scenario.h"

namespace holdfast::cli {

Json closed_division(const CLI::App& app, const std::string& board) {
  if (!fs::exists(board)) {
    throw Error("the closed division is what the scenario " + board + " says, and it is not there: give it with --board");
  }
  PluginHost plugins = load_plugins(app);
  return to_json(load_scenario(board, plugins));
}

}  // namespace holdfast::cli
