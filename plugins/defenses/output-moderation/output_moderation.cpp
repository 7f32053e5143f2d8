// Moderates what is served: a flagged exchange gets a refusal in place of its reply.
#include <holdfast/defense.h>
#include <holdfast/moderation.h>

namespace {

class OutputModeration final : public holdfast::ServeStage {
 public:
  explicit OutputModeration(holdfast::Params& params)
      : moderator_(params, "output-moderation"),
        refusal_(params.text("refusal", "", "what a flagged reply becomes; empty: the model family's refusal")) {}

  static holdfast::Card card() {
    return {.source = "moderation of replies, as in Inan et al. 2023, arXiv 2312.06674 (response classification)",
            .cost =
                "training: none; while serving, by phrases nothing, by a probe a forward of the aligned model for each "
                "request, each reply and up to 800 alignment rows, by a guard one of its forwards for each reply, by an "
                "endpoint one request for each reply",
            .presets = holdfast::Moderator::presets()};
  }

  void after_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    const std::vector<bool> flagged = moderator_.flagged_replies(exchanges, context);
    const std::string refusal = refusal_.empty() ? context.refusal() : refusal_;
    std::int64_t replaced = 0;
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      auto& exchange = exchanges[i];
      if (!flagged[i] || exchange.reply == refusal || exchange.reply == context.refusal()) continue;
      exchange.reply = refusal;
      ++replaced;
    }
    context.report("replaced", static_cast<double>(replaced), static_cast<std::int64_t>(exchanges.size()));
  }

  unsigned needs() const override { return moderator_.needs(); }

 private:
  holdfast::Moderator moderator_;
  std::string refusal_;
};

}  // namespace

HOLDFAST_DEFENSE(OutputModeration, "output-moderation", 3, "Replaces replies that moderation flags by a refusal.")
