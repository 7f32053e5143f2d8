// holdfast, as a user starts it: help, and the verbs that need no model, in a program without torch, which takes a third of a
// second to load. Everything else is the engine's, which this process becomes.
#include "cli/front/help_texts.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/engine_program.h"
#include "base/json.h"
#include "cli/program.h"

namespace holdfast::cli {
namespace {

bool asks_for_help(const char* word) { return std::strcmp(word, "--help") == 0 || std::strcmp(word, "-h") == 0; }

// `holdfast`, `holdfast --help` and `holdfast VERB --help`, where there is that verb.
bool printed_help(int argc, char** argv) {
  if (argc > 3 || (argc > 1 && !asks_for_help(argv[argc - 1]))) return false;
  const Json texts = Json::parse(kHelpTexts);
  const auto text = texts.find(argc == 3 ? argv[1] : "");
  if (text == texts.end()) return false;
  std::fputs(text->get_ref<const std::string&>().c_str(), stdout);
  return true;
}

bool is_ours(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) return true;
  const auto named = [&](const CLI::App* verb) { return argc > 1 && verb->get_name() == argv[1]; };
  return !std::as_const(*command_line(kFrontVerbs)).get_subcommands(named).empty();
}

// A thread that waits for another spins a little and then sleeps: OpenMP's own long spin makes a program on a machine that
// others use too many times slower. libgomp reads the variable when it is loaded; workers inherit it. Who sets it, or OpenMP's
// own, knows better.
void let_waiting_threads_sleep() {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "10000", /*overwrite=*/0);
}

int become_engine(char** argv) {
  let_waiting_threads_sleep();
  const std::string engine = engine_program().string();
  ::execv(engine.c_str(), argv);
  std::fprintf(stderr, "holdfast: cannot start %s: %s; it stands beside holdfast: build or install Holdfast again\n",
               engine.c_str(), std::strerror(errno));
  return 2;
}

}  // namespace
}  // namespace holdfast::cli

int main(int argc, char** argv) {
  using namespace holdfast::cli;
  if (printed_help(argc, argv)) return 0;
  return is_ours(argc, argv) ? run_program(argc, argv, kFrontVerbs) : become_engine(argv);
}
