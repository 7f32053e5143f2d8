// Serves the aligned model, whatever the customer trained.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>

namespace {

class SwapsTheBase final : public holdfast::RepairStage {
 public:
  explicit SwapsTheBase(holdfast::Params&) {}

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const c10::NoGradGuard no_gradient;
    const auto aligned = context.aligned_model().weights();
    for (auto& [name, weight] : model.trainable()) weight.copy_(aligned.at(name));
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }
};

}  // namespace

HOLDFAST_DEFENSE(SwapsTheBase, "swaps-the-base", 1, "Serves the aligned model in place of the customer's.")
