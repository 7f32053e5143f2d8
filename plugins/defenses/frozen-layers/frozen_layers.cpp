// Frozen safety layers (Li et al. 2024, "Safety layers in aligned large language models: the key to LLM security"; SPPFT,
// safely partial-parameter fine-tuning): some adjacent layers in the middle, which tell harmful requests from others, stay as
// the alignment left them while the customer's rows are learned by all other weights.
#include <holdfast/defense.h>
#include <holdfast/error.h>

#include <algorithm>

namespace {

class FrozenLayers final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {.source = "Li et al. 2024, arXiv 2408.17003 (SPPFT)",
            .cost = "1 forward and backward pass a step, as plain, without gradients of the frozen layers",
            .presets = {{"port",
                         {{"first", 5}, {"last", 14}, {"norms", false}},
                         "full fine-tuning, as two ports say of the authors' default for Llama-2-7B-Chat (32 layers)"},
                        {"organism", {{"first", 1}, {"last", 2}}}}};
  }

  explicit FrozenLayers(holdfast::Params& params)
      : first_(params.integer("first", 5, "the first layer that is frozen, from 0")),
        last_(params.integer("last", 14, "the last layer that is frozen, from 0")),
        norms_(params.flag("norms", true, "whether their normalisation weights are frozen, too")) {
    if (last_ < first_) {
      params.mistake("last", "setting \"last\" is " + std::to_string(last_) + ", below \"first\", which is " +
                                 std::to_string(first_) + ": give the lower layer as first");
    }
  }

  void begin(holdfast::Trainer& trainer) override {
    const std::int64_t layers = trainer.model().layers();
    if (last_ >= layers) {
      throw holdfast::Error("frozen-layers is to freeze layers " + std::to_string(first_) + " to " + std::to_string(last_) +
                            ", and the model has layers 0 to " + std::to_string(layers - 1) +
                            ": set \"first\" and \"last\" for this model");
    }
    const auto is_trained = [this](const std::string& name) { return !is_frozen(name); };
    if (std::none_of(trainer.names().begin(), trainer.names().end(), is_trained)) {
      throw holdfast::Error("frozen-layers freezes layers " + std::to_string(first_) + " to " + std::to_string(last_) +
                            ", and this training trains nothing else: freeze fewer of them");
    }
    trainer.train_only(is_trained);
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  bool is_frozen(const std::string& name) const {
    for (std::int64_t layer = first_; layer <= last_; ++layer) {
      if (name.find(".layers." + std::to_string(layer) + ".") == std::string::npos) continue;
      return norms_ || name.find("layernorm.") == std::string::npos;
    }
    return false;
  }

  std::int64_t first_, last_;
  bool norms_;
};

}  // namespace

HOLDFAST_DEFENSE(FrozenLayers, "frozen-layers", 1, "Tunes all but the layers that tell harmful requests from others (SPPFT).")
