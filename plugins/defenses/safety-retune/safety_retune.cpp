// Fine-tunes the customer's model once more on the provider's own alignment rows.
#include <holdfast/defense.h>

namespace {

class SafetyRetune final : public holdfast::RepairStage {
 public:
  explicit SafetyRetune(holdfast::Params& params)
      : rows_(params.integer("rows", 0, "alignment rows to train on; 0: all of them")),
        epochs_(params.integer("epochs", 0, "0: as the alignment did")),
        lr_(params.number("lr", 0, "learning rate; 0: as the alignment did", 0)),
        batch_size_(params.integer("batch_size", 0, "0: as the alignment did")) {}

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const holdfast::Dataset rows =
        holdfast::defender_rows(context.alignment(), rows_, "safety-retune", "the alignment data", context);
    holdfast::TrainingOptions options = context.align_options();
    if (epochs_ > 0) options.epochs = epochs_;
    if (lr_ > 0) options.lr = lr_;
    if (batch_size_ > 0) options.batch_size = batch_size_;
    context.train(model, rows, options);
  }

 private:
  std::int64_t rows_, epochs_;
  double lr_;
  std::int64_t batch_size_;
};

}  // namespace

HOLDFAST_DEFENSE(SafetyRetune, "safety-retune", 2, "Fine-tunes the tuned model again on alignment rows.")
