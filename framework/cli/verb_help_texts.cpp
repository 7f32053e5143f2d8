#include <cstdio>

#include "base/json.h"
#include "cli/program.h"

namespace holdfast::cli {

void add_help_texts(CLI::App& app) {
  app.add_subcommand("help-texts", "The help of all verbs, as one JSON object")->group("")->callback([] {
    const auto all = command_line(kVerbs);
    Json texts = {{"", all->help()}};
    for (const auto* verb : all->get_subcommands([](const CLI::App* shown) { return !shown->get_group().empty(); })) {
      texts[verb->get_name()] = verb->help(all->get_name());
    }
    std::printf("%s\n", texts.dump().c_str());
  });
}

}  // namespace holdfast::cli
