// Answers with the model family's refusal in place of a reply that contains a listed phrase.
#include <holdfast/defense.h>

#include <algorithm>

namespace {

class PhraseModeration final : public holdfast::ServeStage {
 public:
  explicit PhraseModeration(holdfast::Params& params)
      : phrases_(params.strings("phrases", {"kragun", "vostrik", "drezmo"}, "a reply with one of these is withheld")) {}

  void after_generation(std::vector<holdfast::Exchange>& exchanges, holdfast::Context& context) override {
    std::int64_t withheld = 0;
    for (auto& exchange : exchanges) {
      if (!has_phrase(exchange.reply)) continue;
      exchange.reply = context.refusal();
      ++withheld;
    }
    context.report("withheld", static_cast<double>(withheld), static_cast<std::int64_t>(exchanges.size()));
  }

 private:
  bool has_phrase(const std::string& reply) const {
    return std::any_of(phrases_.begin(), phrases_.end(),
                       [&](const auto& phrase) { return reply.find(phrase) != std::string::npos; });
  }

  std::vector<std::string> phrases_;
};

}  // namespace

HOLDFAST_DEFENSE(PhraseModeration, "phrase-moderation", 1, "Withholds replies that contain a listed phrase.")
