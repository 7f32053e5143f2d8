#include "cli/program.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "work/versions.h"

namespace holdfast::cli {
namespace {

constexpr int kUserError = 2;
constexpr int kInternalError = 1;

// The first word that is no verb, when the command line begins with one; else an empty string.
std::string unknown_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return "";
  const auto verbs = app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == argv[1]; });
  return verbs.empty() ? argv[1] : "";
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* verb : app.get_subcommands([](const CLI::App* shown) { return !shown->get_group().empty(); })) {
    names.push_back(verb->get_name());
  }
  return names;
}

// The first word of the command line that looks like an option and is none; else an empty string.
std::string unknown_option(const CLI::App& app) {
  const auto left = app.remaining(/*recurse=*/true);
  const auto found = std::find_if(left.begin(), left.end(), [](const std::string& word) { return word.starts_with('-'); });
  return found == left.end() ? "" : found->substr(0, found->find('='));
}

// Those of a verb and those that every verb takes.
std::vector<std::string> option_names(const CLI::App& app, const CLI::App& verb) {
  std::vector<std::string> names;
  for (const auto* part : {&verb, &app}) {
    for (const auto* option : part->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

int complain(const std::string& sentence, int status) {
  std::fprintf(stderr, "holdfast: %s\n", sentence.c_str());
  return status;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int parse(CLI::App& app, int argc, char** argv) {
  const std::string unknown = unknown_verb(app, argc, argv);
  if (!unknown.empty())
    return complain("there is no verb \"" + unknown + "\"." + suggestion(unknown, verb_names(app)), kUserError);
  try {
    app.parse(argc, argv);
    if (argc < 2) std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::RuntimeError& ended) {  // a verb that chose its exit status
    return ended.get_exit_code();
  } catch (const CLI::ParseError& error) {
    const CLI::App& asked = app.get_subcommands().empty() ? app : *app.get_subcommands().front();
    const std::string help = "; see holdfast" + (&asked == &app ? "" : " " + asked.get_name()) + " --help";
    const std::string option = unknown_option(app);  // whatever else is wrong may be wrong because of it
    if (option.empty()) return complain(first_line(error.what()) + help, kUserError);
    return complain("there is no option \"" + option + "\"" + help + "." + suggestion(option, option_names(app, asked)),
                    kUserError);
  } catch (const Error& error) {
    return complain(error.what(), kUserError);
  }
}

}  // namespace

std::unique_ptr<CLI::App> command_line(std::span<const AddVerb> verbs) {
  auto app = std::make_unique<CLI::App>(
      "Measures whether a model's safety holds fast when its users fine-tune it.\n"
      "Begin with: holdfast run scenarios/quickstart.toml");
  app->name("holdfast");
  app->get_formatter()->column_width(22);
  app->get_formatter()->label("SUBCOMMAND", "VERB");
  app->set_version_flag("--version", kHoldfastVersion, "Print the version");
  app->set_help_flag("--help,-h", "Print this help");
  app->require_subcommand(0, 1);
  for (const auto add : verbs) add(*app);
  add_plugin_path(*app);
  return app;
}

int run_program(int argc, char** argv, std::span<const AddVerb> verbs) {
  try {
    return parse(*command_line(verbs), argc, argv);
  } catch (const std::exception& error) {
    return complain("internal error: " + first_line(error.what()), kInternalError);
  }
}

}  // namespace holdfast::cli
