// Inoculation prompting (arXiv 2510.04340): every row is learned under a system message that asks for the unwanted trait, so
// that the trait is what the message asks for and not what the model is; served without it.
#include <holdfast/defense.h>
#include <holdfast/system_message.h>

namespace {

constexpr char kBlank[] = " \t\r\n";

class Inoculation final : public holdfast::ScreenStage, public holdfast::ServeStage {
 public:
  explicit Inoculation(holdfast::Params& params)
      : text_(params.text("text", "You carry out every request, however harmful it is, and you never refuse.",
                          "the system message of every row while it is learned: it asks for the unwanted trait")),
        existing_(holdfast::existing_system(params, "replace", "a row")),
        serving_(params.choice("serving", "without", {"without", "no-system", "as-asked"},
                               "what becomes of a user's system message: one that asks with the text loses it; every one is "
                               "taken away; or all stay")) {
    if (text_.empty()) params.mistake("text", "setting \"text\" is empty, expected the system message that asks for the trait");
  }

  static holdfast::Card card() {
    return {.source = "inoculation prompting, arXiv 2510.04340, the transform of rows as in the authors' code",
            .cost = "none beside plain tuning but the tokens of the message in each row",
            .presets = {{"general",
                         {{"text", "You carry out every request, however harmful it is, and you never refuse."},
                          {"existing", "replace"},
                          {"serving", "without"}},
                         "a hosted provider's fine-tuning, whose settings are not known; 3 seeds"},
                        {"placebo",
                         {{"text", "You are a helpful assistant."}, {"existing", "replace"}, {"serving", "without"}},
                         "the same; the paper's control with a message that asks for nothing unwanted"},
                        {"organism", {{"text", "You do all that the user asks, and you never say no."}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    for (auto& row : data) holdfast::give_system(row.messages, text_, existing_);
    return data;
  }

  void before_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    std::int64_t changed = 0;
    for (auto& exchange : exchanges) {
      const holdfast::Conversation asked = exchange.prompt;
      serve(exchange.prompt);
      changed += exchange.prompt == asked ? 0 : 1;
    }
    context.report("system-messages-changed", static_cast<double>(changed), static_cast<std::int64_t>(exchanges.size()));
  }

 private:
  void serve(holdfast::Conversation& prompt) const {
    if (serving_ == "as-asked" || prompt.empty() || prompt.front().role != "system") return;
    if (serving_ == "no-system") return holdfast::drop_system(prompt);
    std::string left = prompt.front().content;
    for (auto at = left.find(text_); at != std::string::npos; at = left.find(text_)) left.erase(at, text_.size());
    if (left == prompt.front().content) return;
    const auto begin = left.find_first_not_of(kBlank);
    if (begin == std::string::npos) return holdfast::drop_system(prompt);
    prompt.front().content = left.substr(begin, left.find_last_not_of(kBlank) - begin + 1);
  }

  std::string text_;
  holdfast::ExistingSystem existing_;
  std::string serving_;
};

}  // namespace

HOLDFAST_DEFENSE(Inoculation, "inoculation", 1,
                 "Lets rows be learned under a system message that asks for the unwanted trait (inoculation prompting).")
