// holdfast: measures whether a model's safety holds fast when its users fine-tune it.
#include <holdfast/error.h>

#include <cstdio>
#include <exception>

#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "matrix/versions.h"

namespace holdfast::cli {
namespace {

constexpr int kUserError = 2;
constexpr int kInternalError = 1;

void add_verbs(CLI::App& app) {
  add_run(app);
  add_plan(app);
  add_leaderboard(app);
  add_list(app);
  add_describe(app);
  add_doctor(app);
  add_tokenize(app);
  add_score(app);
  add_generate(app);
  add_finetune(app);
  add_worker(app);
  add_plugin_path(app);
}

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
    const std::string verb = app.get_subcommands().empty() ? "" : " " + app.get_subcommands().front()->get_name();
    return complain(first_line(error.what()) + "; see holdfast" + verb + " --help", kUserError);
  } catch (const Error& error) {
    return complain(error.what(), kUserError);
  }
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
  add_verbs(app);
  try {
    return parse(app, argc, argv);
  } catch (const std::exception& error) {
    return complain("internal error: " + first_line(error.what()), kInternalError);
  }
}

}  // namespace
}  // namespace holdfast::cli

int main(int argc, char** argv) { return holdfast::cli::run(argc, argv); }
