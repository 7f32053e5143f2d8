// Moderates what is served: a flagged exchange gets a refusal in place of its reply.
#include <holdfast/defense.h>
#include <holdfast/moderation.h>

namespace {

class OutputModeration final : public holdfast::ServeStage {
 public:
  explicit OutputModeration(holdfast::Params& params)
      : moderator_(params),
        refusal_(params.text("refusal", "", "what a flagged reply becomes; empty: the model family's refusal")) {}

  void after_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    std::vector<std::string> texts;
    for (const auto& exchange : exchanges) texts.push_back(exchange.reply);
    if (moderator_.uses_aligned_model()) {  // the probe judges the request as well
      for (const auto& exchange : exchanges) texts.push_back(holdfast::last_content(exchange.prompt, "user"));
    }
    const std::vector<bool> flagged = moderator_.flags(texts, context);
    const std::string refusal = refusal_.empty() ? context.refusal() : refusal_;
    std::int64_t replaced = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto& exchange = exchanges[i % exchanges.size()];
      if (!flagged[i] || exchange.reply == refusal || exchange.reply == context.refusal()) continue;
      exchange.reply = refusal;
      ++replaced;
    }
    context.report("replaced", static_cast<double>(replaced), static_cast<std::int64_t>(exchanges.size()));
  }

  unsigned needs() const override { return moderator_.uses_aligned_model() ? holdfast::kNeedsAligned : 0; }

 private:
  holdfast::Moderator moderator_;
  std::string refusal_;
};

}  // namespace

HOLDFAST_DEFENSE(OutputModeration, "output-moderation", 2, "Replaces replies that moderation flags by a refusal.")
