// holdfast: measures whether a model's safety holds fast when its users fine-tune it.
#include <holdfast/error.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "cli/verbs.h"
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

// A thread that waits for another spins a little and then sleeps: OpenMP's own long spin makes a program on a machine that
// others use too many times slower. libgomp reads the variable when it is loaded, before main, so the program begins once more
// with it; workers inherit it. Who sets it, or OpenMP's own, knows better.
void let_waiting_threads_sleep(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("GOMP_SPINCOUNT", "10000", /*overwrite=*/1);
  std::error_code failure;  // then it goes on as it is
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (!failure) ::execv(program.c_str(), argv);
}

int run(int argc, char** argv) {
  CLI::App app(
      "Measures whether a model's safety holds fast when its users fine-tune it.\n"
      "Begin with: holdfast run scenarios/quickstart.toml");
  app.name("holdfast");
  app.get_formatter()->column_width(22);
  app.get_formatter()->label("SUBCOMMAND", "VERB");
  app.set_version_flag("--version", kHoldfastVersion, "Print the version");
  app.set_help_flag("--help,-h", "Print this help");
  app.require_subcommand(0, 1);
  for (const auto add : kVerbs) add(app);
  add_plugin_path(app);
  try {
    return parse(app, argc, argv);
  } catch (const std::exception& error) {
    return complain("internal error: " + first_line(error.what()), kInternalError);
  }
}

}  // namespace
}  // namespace holdfast::cli

int main(int argc, char** argv) {
  holdfast::cli::let_waiting_threads_sleep(argv);
  return holdfast::cli::run(argc, argv);
}
