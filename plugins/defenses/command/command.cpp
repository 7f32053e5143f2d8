// A filter in any language: a program of the user's screens rows, or moderates what is asked and said.
#include <holdfast/defense.h>

#include <algorithm>

#include "program.h"
#include "protocol.h"

namespace {

using holdfast::Context;
using holdfast::Dataset;
using holdfast::Exchange;
using holdfast::JsonTree;

constexpr const char* kScreen = "screen";
constexpr const char* kBefore = "before";
constexpr const char* kAfter = "after";

double as_figure(std::int64_t count) { return static_cast<double>(count); }

class CommandFilter final : public holdfast::ScreenStage, public holdfast::ServeStage {
 public:
  explicit CommandFilter(holdfast::Params& params)
      : program_(params),
        version_(
            params.text("version", "", "of what the program reads beside the files that \"program\" names; part of the key")),
        stages_(params.strings("stages", {kScreen},
                               "where it acts: \"screen\" (rows), \"before\" (requests), \"after\" (replies); elsewhere data "
                               "passes as it is")) {
    if (stages_.empty())
      params.mistake("stages", "\"stages\" is empty: name at least one of \"screen\", \"before\" and \"after\"");
    for (const auto& stage : stages_) {
      if (stage == kScreen || stage == kBefore || stage == kAfter) continue;
      params.mistake("stages", "\"" + stage + "\" is no stage of this plugin, expected \"screen\", \"before\" or \"after\"");
    }
  }

  static holdfast::Card card() {
    return {.source = "your own: the protocol is in this plugin's README",
            .cost = "training: none; one start of the program a stage that it acts in, and what it takes for a line"};
  }

  Dataset screen(Dataset data, Context& context) override {
    if (!acts(kScreen) || data.empty()) return data;
    std::vector<std::string> lines;
    for (const auto& row : data)
      lines.push_back(holdfast::json_text({JsonTree::Object{{"messages", command::tree_of(row.messages)}}}));
    Dataset kept;
    std::int64_t dropped = 0, rewritten = 0, added = 0;
    ask(kScreen, lines, command::kScreenAnswers, context, [&](std::size_t i, const std::string& line) {
      const auto answer = command::read_screen_answer(line);
      dropped += answer.keep ? 0 : 1;
      rewritten += answer.messages ? 1 : 0;
      added += static_cast<std::int64_t>(answer.add.size());
      if (answer.messages) data[i].messages = *answer.messages;
      if (answer.keep) kept.push_back(std::move(data[i]));
      for (const auto& messages : answer.add) kept.push_back({messages});
    });
    const auto n = static_cast<std::int64_t>(data.size());
    context.report("dropped", as_figure(dropped), n);
    context.report("rewritten", as_figure(rewritten), n);
    if (added > 0) context.report(holdfast::kDefenderRows, as_figure(added), added);
    return kept;
  }

  void before_generation(std::vector<Exchange>& exchanges, Context& context) override {
    if (!acts(kBefore) || exchanges.empty()) return;
    std::vector<std::string> lines;
    for (const auto& each : exchanges)
      lines.push_back(holdfast::json_text({JsonTree::Object{{"prompt", command::tree_of(each.prompt)}}}));
    std::int64_t answered = 0, rewritten = 0;
    ask(kBefore, lines, command::kBeforeAnswers, context, [&](std::size_t i, const std::string& line) {
      const auto answer = command::read_before_answer(line);
      answered += answer.reply ? 1 : 0;
      rewritten += answer.prompt ? 1 : 0;
      if (answer.prompt) exchanges[i].prompt = *answer.prompt;
      if (!answer.reply) return;
      exchanges[i].reply = *answer.reply;
      exchanges[i].answered = true;
    });
    const auto n = static_cast<std::int64_t>(exchanges.size());
    context.report("answered", as_figure(answered), n);
    context.report("rewritten", as_figure(rewritten), n);
  }

  void after_generation(std::vector<Exchange>& exchanges, Context& context) override {
    if (!acts(kAfter) || exchanges.empty()) return;
    std::vector<std::string> lines;
    for (const auto& each : exchanges) {
      lines.push_back(
          holdfast::json_text({JsonTree::Object{{"prompt", command::tree_of(each.prompt)}, {"reply", JsonTree{each.reply}}}}));
    }
    std::int64_t replaced = 0;
    ask(kAfter, lines, command::kAfterAnswers, context, [&](std::size_t i, const std::string& line) {
      const auto answer = command::read_after_answer(line);
      if (!answer.reply) return;
      replaced += *answer.reply == exchanges[i].reply ? 0 : 1;
      exchanges[i].reply = *answer.reply;
    });
    context.report("replaced", as_figure(replaced), static_cast<std::int64_t>(exchanges.size()));
  }

  unsigned needs() const override { return 0; }

 private:
  bool acts(const std::string& stage) const { return std::count(stages_.begin(), stages_.end(), stage) > 0; }

  void ask(const std::string& stage, const std::vector<std::string>& lines, const std::string& expected, Context& context,
           const std::function<void(std::size_t, const std::string&)>& take) const {
    const JsonTree hello = {JsonTree::Object{{"holdfast", {std::string("command")}},
                                             {"protocol", {static_cast<double>(command::kProtocol)}},
                                             {"stage", {stage}},
                                             {"lines", {static_cast<double>(lines.size())}},
                                             {"version", {version_}},
                                             {"refusal", {context.refusal()}},
                                             {"seed", {static_cast<double>(context.seed("command") >> 11U)}}}};
    const std::int64_t restarts = program_.ask(stage, holdfast::json_text(hello), lines, expected, take);
    if (restarts > 0) context.report("restarts", as_figure(restarts), static_cast<std::int64_t>(lines.size()));
  }

  command::Program program_;
  std::string version_;
  std::vector<std::string> stages_;
};

}  // namespace

HOLDFAST_DEFENSE(CommandFilter, "command", 1, "Runs a program of your own, in any language, that screens rows or moderates.")
