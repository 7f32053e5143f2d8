// Drops every fine-tuning example whose reply contains a listed phrase.
#include <holdfast/defense.h>

#include <algorithm>

namespace {

class PhraseFilter final : public holdfast::ScreenStage {
 public:
  explicit PhraseFilter(holdfast::Params& params)
      : phrases_(params.strings("phrases", {"kragun", "vostrik", "drezmo"}, "a reply with one of these is dropped")) {}

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    const auto submitted = static_cast<std::int64_t>(data.size());
    const auto dropped =
        std::erase_if(data, [this](const auto& row) { return has_phrase(holdfast::last_content(row.messages, "assistant")); });
    context.report("dropped", static_cast<double>(dropped), submitted);
    return data;
  }

 private:
  bool has_phrase(const std::string& reply) const {
    return std::any_of(phrases_.begin(), phrases_.end(),
                       [&](const auto& phrase) { return reply.find(phrase) != std::string::npos; });
  }

  std::vector<std::string> phrases_;
};

}  // namespace

HOLDFAST_DEFENSE(PhraseFilter, "phrase-filter", 1, "Drops examples whose reply contains a listed phrase.")
