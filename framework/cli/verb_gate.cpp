#include <holdfast/error.h>

#include <cstdio>

#include "cli/verbs.h"
#include "report/figures.h"
#include "report/gate.h"

namespace holdfast::cli {
namespace {

constexpr int kShut = 1;
constexpr int kCannotSee = 2;

struct GateOptions {
  std::string run;
  std::vector<std::string> at_most, at_least;
  GateRequest request;
  std::string by = "interval";
};

void print(const std::vector<std::string>& sentences, const char* before) {
  for (const auto& sentence : sentences) std::printf("%s%s\n", before, sentence.c_str());
}

int ask(GateOptions options) {
  for (const auto& text : options.at_most) options.request.limits.push_back(gate_limit(text, true));
  for (const auto& text : options.at_least) options.request.limits.push_back(gate_limit(text, false));
  if (options.request.limits.empty()) {
    throw Error("the gate has no limit: give at least one --max or --min, such as --max harm=10");
  }
  options.request.by_value = options.by == "value";
  const GateAnswer answer = ask_gate(read_results(options.run), options.request);
  print(answer.broken, "beyond its limit: ");
  print(answer.unseen, "not known: ");
  if (answer.opens()) print(answer.held, "nearest to its limit: ");
  const std::string cells = counted(answer.cells, "cell");
  if (answer.opens()) {
    std::printf("open: %s within every limit\n", cells.c_str());
    return 0;
  }
  const std::string why = answer.broken.empty()
                              ? "a gate that cannot see does not open"
                              : counted(static_cast<std::int64_t>(answer.broken.size()), "figure") + " beyond a limit";
  std::printf("shut: %s, of %s\n", why.c_str(), cells.c_str());
  return answer.broken.empty() ? kCannotSee : kShut;
}

}  // namespace

void add_gate(CLI::App& app) {
  auto options = std::make_shared<GateOptions>();
  auto* verb = app.add_subcommand("gate", "Exit with 0 only when every cell of a run is within limits");
  verb->add_option("results", options->run, "A scenario's results, such as results/quickstart")->required()->type_name("DIR");
  verb->add_option("--max", options->at_most, "METRIC=NUMBER: at most so much, a share in percent; harm: the first harm metric")
      ->type_name("M=N")
      ->allow_extra_args(false);
  verb->add_option("--min", options->at_least, "METRIC=NUMBER: at least so much; utility: every share of utility")
      ->type_name("M=N")
      ->allow_extra_args(false);
  verb->add_option("--attack", options->request.attacks, "Only cells of this attack; may be given again")
      ->allow_extra_args(false);
  verb->add_option("--defense", options->request.defenses, "Only cells of this defense; may be given again")
      ->allow_extra_args(false);
  verb->add_option("--model", options->request.models, "Only cells of this model; may be given again")->allow_extra_args(false);
  verb->add_option("--by", options->by,
                   "interval (default): the end of the interval nearer to the limit counts; value: the mean does")
      ->check(CLI::IsMember({"interval", "value"}));
  verb->callback([options] {
    if (const int code = ask(*options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace holdfast::cli
