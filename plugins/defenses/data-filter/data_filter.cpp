// Screens what the customer submits: rows that moderation flags are dropped.
#include <holdfast/defense.h>
#include <holdfast/moderation.h>

namespace {

class DataFilter final : public holdfast::ScreenStage {
 public:
  explicit DataFilter(holdfast::Params& params) : moderator_(params) {}

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    std::vector<std::string> texts;
    for (const auto& row : data) texts.push_back(judged_text(row));
    const std::vector<bool> flagged = moderator_.flags(texts, context);
    holdfast::Dataset kept;
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (!flagged[i]) kept.push_back(std::move(data[i]));
    }
    context.report("dropped", static_cast<double>(data.size() - kept.size()), static_cast<std::int64_t>(data.size()));
    return kept;
  }

  unsigned needs() const override { return moderator_.uses_aligned_model() ? holdfast::kNeedsAligned : 0; }

 private:
  // The probe was fitted on requests, so it sees the user's turns; phrases are looked for in the replies too.
  std::string judged_text(const holdfast::Example& row) const {
    std::string text;
    for (const auto& turn : row.messages) {
      const bool is_judged = turn.role == "user" || (turn.role == "assistant" && !moderator_.uses_aligned_model());
      if (is_judged) text += (text.empty() ? "" : "\n") + turn.content;
    }
    return text;
  }

  holdfast::Moderator moderator_;
};

}  // namespace

HOLDFAST_DEFENSE(DataFilter, "data-filter", 2, "Drops submitted rows that moderation flags.")
