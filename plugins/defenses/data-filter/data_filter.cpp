// Screens what the customer submits: rows that moderation flags are dropped.
#include <holdfast/defense.h>
#include <holdfast/moderation.h>

namespace {

class DataFilter final : public holdfast::ScreenStage {
 public:
  explicit DataFilter(holdfast::Params& params) : moderator_(params, "data-filter") {}

  static holdfast::Card card() {
    return {.source =
                "moderation of fine-tuning data as Qi et al. 2023 tried it, arXiv 2310.03693, section 5; with a moderation "
                "model as in Inan et al. 2023, arXiv 2312.06674",
            .cost =
                "training: none; before it, by phrases nothing, by a probe a forward of the aligned model for each row and "
                "for up to 800 alignment rows, by a guard one of its forwards for each reply, by an endpoint one request "
                "for each row",
            .presets = holdfast::Moderator::presets()};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    const std::vector<bool> flagged = moderator_.flagged_rows(data, context);
    holdfast::Dataset kept;
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (!flagged[i]) kept.push_back(std::move(data[i]));
    }
    context.report("dropped", static_cast<double>(data.size() - kept.size()), static_cast<std::int64_t>(data.size()));
    return kept;
  }

  unsigned needs() const override { return moderator_.needs(); }

 private:
  holdfast::Moderator moderator_;
};

}  // namespace

HOLDFAST_DEFENSE(DataFilter, "data-filter", 3, "Drops submitted rows that moderation flags.")
