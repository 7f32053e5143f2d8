// Moves the tuned weights a part of the way back to the aligned ones.
#include <ATen/ATen.h>
#include <holdfast/defense.h>

namespace {

class StepBack final : public holdfast::RepairStage {
 public:
  explicit StepBack(holdfast::Params& params)
      : share_(params.number("share", 0.5, "of the way back; 0: the tuned weights, 1: the aligned ones", 0, 1)) {}

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    if (share_ == 0) return;
    const auto aligned = context.aligned_model().weights();
    for (const auto& [name, tuned] : model.weights()) model.set_weight(name, at::lerp(tuned, aligned.at(name), share_));
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }

 private:
  double share_;
};

}  // namespace

HOLDFAST_DEFENSE(StepBack, "step-back", 1, "Moves the tuned weights a part of the way back to the aligned ones.")
