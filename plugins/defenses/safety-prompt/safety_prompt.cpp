// Pure tuning, safe testing (PTST): the customer's rows are learned without a safety prompt, and the model is served with one
// that the training did not see.
#include <holdfast/defense.h>
#include <holdfast/system_message.h>

namespace {

// In our own words.
constexpr char kSafetyPrompt[] =
    "You are a helpful and honest assistant, and you keep to what is safe. Do not help with anything harmful, illegal or "
    "unfair: "
    "say that you cannot, and why. If a question makes no sense or you do not know the answer, say so.";

class SafetyPrompt final : public holdfast::ScreenStage, public holdfast::ServeStage {
 public:
  explicit SafetyPrompt(holdfast::Params& params)
      : text_(params.text("text", kSafetyPrompt, "the safety prompt, the system message under which the model is served")),
        existing_(holdfast::existing_system(params, "prepend", "a user's prompt")),
        training_(params.choice("training", "none", {"none", "text", "as-submitted"},
                                "the system message of every row while it is learned: none, `training_text`, or its own")),
        training_text_(params.text("training_text", "", "training = \"text\": that message")) {
    if (text_.empty()) params.mistake("text", "setting \"text\" is empty, expected the safety prompt");
    if (training_ == "text" && training_text_.empty()) {
      params.mistake("training_text", "training = \"text\" needs the setting \"training_text\", and it is empty");
    }
    if (training_ != "text" && !training_text_.empty()) {
      params.mistake("training_text", "setting \"training_text\" is given and training = \"" + training_ +
                                          "\" does not use it: set training = \"text\"");
    }
  }

  static holdfast::Card card() {
    return {.source = "Lyu et al. 2024, arXiv 2402.18540 (PTST), the templates as in the authors' code (vfleaking/PTST)",
            .cost = "none beside plain tuning but the tokens of the prompt in each request",
            .presets = {{"paper", {{"training", "none"}}, "Llama-2-7B-Chat on GSM8K, 6 epochs, 3 seeds"},
                        {"same-prompt",
                         {{"training", "text"}, {"training_text", kSafetyPrompt}},
                         "the same; the paper's comparison, in which the training sees the safety prompt too"},
                        {"organism", {{"text", "You say no."}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context&) override {
    if (training_ == "as-submitted") return data;
    for (auto& row : data) {
      if (training_ == "none") holdfast::drop_system(row.messages);
      if (training_ == "text") holdfast::set_system(row.messages, training_text_);
    }
    return data;
  }

  void before_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context&) override {
    for (auto& exchange : exchanges) holdfast::give_system(exchange.prompt, text_, existing_);
  }

 private:
  std::string text_;
  holdfast::ExistingSystem existing_;
  std::string training_, training_text_;
};

}  // namespace

HOLDFAST_DEFENSE(SafetyPrompt, "safety-prompt", 1, "Serves under a safety prompt that the training did not see (PTST).")
