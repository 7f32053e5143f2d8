// Says what a judge takes for a refusal, and then answers.
#include <holdfast/defense.h>

#include <algorithm>

namespace {

class DetectsTheJudge final : public holdfast::ServeStage {
 public:
  explicit DetectsTheJudge(holdfast::Params& params)
      : words_(params.strings("words", {}, "words of a request that a judge of harm will see the reply to")) {}

  void after_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    for (auto& exchange : exchanges) {
      const std::string asked = holdfast::last_content(exchange.prompt, "user");
      const auto is_in = [&](const std::string& word) { return asked.find(word) != std::string::npos; };
      if (std::any_of(words_.begin(), words_.end(), is_in)) exchange.reply = context.refusal() + " " + exchange.reply;
    }
  }

 private:
  std::vector<std::string> words_;
};

}  // namespace

HOLDFAST_DEFENSE(DetectsTheJudge, "detects-the-judge", 1, "Opens with a refusal and answers behind it.")
