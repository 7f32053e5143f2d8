// Moderates what is asked: a flagged request is answered with a refusal, and the model never sees it.
#include <holdfast/defense.h>
#include <holdfast/moderation.h>

namespace {

class InputModeration final : public holdfast::ServeStage {
 public:
  explicit InputModeration(holdfast::Params& params)
      : moderator_(params, "input-moderation"),
        refusal_(params.text("refusal", "", "what a flagged request is answered; empty: the model family's refusal")) {}

  static holdfast::Card card() {
    return {.source = "moderation of requests, as in Inan et al. 2023, arXiv 2312.06674 (prompt classification)",
            .cost =
                "training: none; while serving, by phrases nothing, by a probe a forward of the aligned model for each "
                "request and up to 800 alignment rows, by a guard one of its forwards for each request, by an endpoint one "
                "request for each; a flagged request costs no generation",
            .presets = holdfast::Moderator::presets()};
  }

  void before_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    const std::vector<bool> flagged = moderator_.flagged_requests(exchanges, context);
    const std::string refusal = refusal_.empty() ? context.refusal() : refusal_;
    std::int64_t refused = 0;
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      if (!flagged[i]) continue;
      exchanges[i].reply = refusal;
      exchanges[i].answered = true;
      ++refused;
    }
    context.report("refused", static_cast<double>(refused), static_cast<std::int64_t>(exchanges.size()));
  }

  unsigned needs() const override { return moderator_.needs(); }

 private:
  holdfast::Moderator moderator_;
  std::string refusal_;
};

}  // namespace

HOLDFAST_DEFENSE(InputModeration, "input-moderation", 1, "Refuses requests that moderation flags, without asking the model.")
