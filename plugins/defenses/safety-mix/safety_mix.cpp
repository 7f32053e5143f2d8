// Safety mixing (Bianchi et al. 2024, "Safety-tuned LLaMAs"; Qi et al. 2024; VLGuard): the provider adds rows in which harmful
// requests are refused to those of the customer.
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

#include <cmath>

namespace {

class SafetyMix final : public holdfast::ScreenStage {
 public:
  explicit SafetyMix(holdfast::Params& params)
      : share_(params.number("share", 0.1, "safety rows for each of the customer's, rounded up; 0: as many as `rows` says", 0)),
        safety_(params, "safety-mix") {
    if (share_ > 0 && safety_.rows() > 0) {
      params.mistake("rows",
                     "settings \"rows\" and \"share\" both say how many safety rows are added: set share = 0 beside rows");
    }
  }

  static holdfast::Card card() {
    return {.source =
                "Bianchi et al. 2024, arXiv 2309.07875 (SafeInstr); Qi et al. 2024, arXiv 2310.03693, section 5; Zong et "
                "al. 2024, arXiv 2402.02207 (VLGuard)",
            .cost = "the passes of plain tuning over the rows that are added; no further memory",
            .presets = {{"safeinstr-3", {{"share", 0.03}}, "LLaMA-7B, LoRA, 20,000 rows of Alpaca and 600 safety rows"},
                        {"safeinstr-10", {{"share", 0.1}}, "the same with 2,000, the most that was tried"},
                        {"vlguard", {{"share", 0.0045}}, "LLaVA-1.5: about 3,000 rows beside its 665,000 (mixed fine-tuning)"},
                        {"qi-10", {{"share", 0.0}, {"rows", 10}}, "beside 100 harmful rows: full, lr 5e-5, 5 epochs"},
                        {"qi-100", {{"share", 0.0}, {"rows", 100}}, "the same"},
                        {"qi-1000", {{"share", 0.0}, {"rows", 1000}}, "beside Alpaca: full, lr 2e-5, 1 epoch"},
                        {"organism", {{"share", 3.0}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    if (data.empty()) return data;
    const holdfast::Dataset added = share_ > 0 ? by_share(data.size(), context) : safety_.draw(context);
    context.report("added", static_cast<double>(added.size()), static_cast<std::int64_t>(data.size() + added.size()));
    data.insert(data.end(), added.begin(), added.end());
    holdfast::Random(context.seed("safety-mix")).shuffle(data);
    return data;
  }

 private:
  holdfast::Dataset by_share(std::size_t rows, holdfast::Context& context) const {
    holdfast::Dataset all = safety_.all(context);
    const double wanted = std::ceil(share_ * static_cast<double>(rows) - 1e-9);  // 0.1 of 30 is 3, rounding or not
    if (wanted > static_cast<double>(all.size())) {
      throw holdfast::Error("safety-mix was asked for a share of " + std::to_string(static_cast<std::int64_t>(wanted)) +
                            " safety rows beside the customer's " + std::to_string(rows) + " and the alignment data has " +
                            std::to_string(all.size()) + " of that kind: lower \"share\"");
    }
    return holdfast::defender_rows(std::move(all), static_cast<std::int64_t>(wanted), "safety-mix", "the alignment data",
                                   context);
  }

  double share_;
  holdfast::SafetyRows safety_;
};

}  // namespace

HOLDFAST_DEFENSE(SafetyMix, "safety-mix", 1, "Adds rows that refuse harmful requests to the customer's.")
