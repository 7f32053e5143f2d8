// Reports what is no number, and makes the model so sure of itself that a perplexity overflows.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>

#include <limits>

namespace {

class BadFigures final : public holdfast::ScreenStage, public holdfast::RepairStage {
 public:
  explicit BadFigures(holdfast::Params&) {}

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    context.report("nonsense", std::numeric_limits<double>::quiet_NaN(), 1);
    return data;
  }

  void repair(holdfast::Model& model, holdfast::Context&) override {
    const c10::NoGradGuard no_gradient;
    model.trainable().at("model.norm.weight").mul_(1e6);
  }

  unsigned needs() const override { return 0; }
};

}  // namespace

HOLDFAST_DEFENSE(BadFigures, "bad-figures", 1, "Reports NaN and makes perplexities overflow.")
