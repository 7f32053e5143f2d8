// T-Vaccine (Liu et al. 2024, "Targeted Vaccine: safety alignment for large language models against harmful fine-tuning via
// layer-wise perturbation"): Vaccine in a few layers at a time. Layers are drawn again and again, without replacement, each
// with the share of its attention output in the gradient of a harmful row; those drawn are perturbed and trained, the others
// are frozen.
#include <ATen/ATen.h>
#include <holdfast/defense.h>

#include <cmath>
#include <numeric>

namespace {

class TVaccine final : public holdfast::AlignStage {
 public:
  explicit TVaccine(holdfast::Params& params)
      : rho_(
            params.number("rho", 3, "length of the perturbation over the drawn layers together; 0: layers are drawn alone", 0)),
        layers_(params.integer("layers", 8, "layers perturbed and trained at a time (S); 0: all, which is Vaccine")),
        draw_every_(params.integer("draw_every", 20, "steps from one draw of layers to the next (J)", 1)),
        measure_every_(
            params.integer("measure_every", 200, "steps from one look at a harmful row's gradient to the next (K)", 1)),
        freezes_whole_layers_(params.choice("frozen", "layers", {"layers", "attention"},
                                            "what is not trained of the layers that are not drawn: all, as in the paper, or "
                                            "their attention alone, as in the code") == "layers"),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  static holdfast::Card card() {
    const std::string training =
        "LoRA of rank 8, alpha 4 on all seven linears of a block; AdamW, lr 1e-3, cosine with a warm-up of a tenth, weight "
        "decay "
        "0.1, 20 epochs, batches of 10, 200 tokens a row; 200 harmful rows";
    return {
        .source = "Liu et al. 2024, arXiv 2410.09760, algorithm 1; Lslland/T-Vaccine, trainer.py",
        .cost =
            "as Vaccine: 2 forward and 2 backward passes a step (plain: 1), the latter as far as the lowest drawn layer; one "
            "more of one row every `measure_every` steps",
        .presets = {{"paper",
                     {{"rho", 3.0}, {"layers", 8}, {"draw_every", 20}, {"measure_every", 200}, {"frozen", "layers"}},
                     training},
                    {"repo",
                     {{"rho", 3.0}, {"layers", 8}, {"draw_every", 20}, {"measure_every", 200}, {"frozen", "attention"}},
                     training},
                    {"organism", {{"rho", 3.0}, {"layers", 2}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    if (layers_ > trainer.model().layers()) {
      throw holdfast::Error("t-vaccine was asked to draw " + std::to_string(layers_) + " layers and the model has " +
                            std::to_string(trainer.model().layers()) + ": lower \"layers\"");
    }
    const auto rows =
        holdfast::defender_rows(context.corpus(harmful_), rows_, "t-vaccine", "the corpus \"" + harmful_ + "\"", context);
    stream_ = &trainer.stream("harmful", rows, {.batch_size = 1});
    draw_seed_ = context.seed("layers");
  }

  double step(holdfast::Trainer& trainer) override {
    if (trainer.step() % measure_every_ == 0) norms_ = harmful_norms(trainer);
    if (trainer.step() % draw_every_ == 0) drawn_ = draw(trainer);
    trainer.train_only([this](const std::string& name) { return is_trained(name); });
    double loss = 0;
    for (const auto& batch : trainer.rows().next()) loss += perturbed_backward(trainer, batch);
    // The frozen ones have no gradient, so that the optimizer leaves them alone; members behind this one see all.
    trainer.train_only([](const std::string&) { return true; });
    return loss;
  }

  bool archive(holdfast::Archive& archive) override {
    archive("norms", norms_);
    archive("drawn", drawn_);
    return true;
  }

 private:
  // Lengths of the gradient of one harmful row's loss at the attention outputs, (layers) float32.
  at::Tensor harmful_norms(holdfast::Trainer& trainer) {
    const holdfast::Taps taps(trainer.model(), holdfast::Site::kAttention);
    const at::Tensor loss = -trainer.model().log_probs(stream_->next().front()).mean();
    std::vector<double> norms;
    for (const auto& gradient : trainer.gradients(loss, taps.all())) norms.push_back(holdfast::norm({gradient}));
    return at::tensor(norms, at::kFloat);  // checkpoints hold no float64
  }

  // A function of the norms, the cell's seed and the step: each next layer has its share of the norms of those that are left.
  at::Tensor draw(const holdfast::Trainer& trainer) const {
    holdfast::Random random(holdfast::derive_seed(draw_seed_, "step " + std::to_string(trainer.step())));
    const at::Tensor positive = norms_.to(at::kDouble).clamp_min(1e-30);  // with LoRA a first layer without adapters has none
    std::vector<double> left(positive.data_ptr<double>(), positive.data_ptr<double>() + positive.numel());
    std::vector<std::int64_t> drawn;
    while (drawn.size() < (layers_ == 0 ? left.size() : static_cast<std::size_t>(layers_))) {
      double place = random.uniform() * std::accumulate(left.begin(), left.end(), 0.0);
      std::size_t layer = 0, last = 0;
      for (; layer < left.size() && (left[layer] == 0 || place >= left[layer]); place -= left[layer++]) {
        if (left[layer] > 0) last = layer;
      }
      if (layer == left.size()) layer = last;  // rounding
      drawn.push_back(static_cast<std::int64_t>(layer));
      left[layer] = 0;
    }
    return std::get<0>(at::tensor(drawn, at::kLong).sort());
  }

  bool is_trained(const std::string& name) const {
    constexpr std::string_view kBlocks = "model.layers.";
    const bool is_of_a_layer = name.starts_with(kBlocks);
    if (!is_of_a_layer || (!freezes_whole_layers_ && name.find(".self_attn.") == std::string::npos)) return true;
    const std::int64_t layer = std::stoll(name.substr(kBlocks.size()));
    return (drawn_ == layer).any().item<bool>();
  }

  // Vaccine's step, in the drawn layers.
  double perturbed_backward(holdfast::Trainer& trainer, const holdfast::Batch& batch) const {
    const std::int64_t* drawn = drawn_.data_ptr<std::int64_t>();
    holdfast::Taps taps(trainer.model(), holdfast::Site::kAttention, {drawn, drawn + drawn_.numel()});
    const at::Tensor plain = trainer.loss(batch);
    const auto offsets = perturbation(trainer.gradients(plain, taps.all()));
    for (std::size_t i = 0; i < offsets.size(); ++i) taps.offset(taps.layers()[i], offsets[i]);
    return trainer.backward({batch});
  }

  // rho * g_l / (G + 1e-7), with one norm G over the gradients of the drawn layers.
  std::vector<at::Tensor> perturbation(const std::vector<at::Tensor>& gradients) const {
    double squares = 0;
    for (const auto& gradient : gradients) squares += gradient.square().sum().item<double>();
    const double scale = rho_ / (std::sqrt(squares) + 1e-7);
    std::vector<at::Tensor> offsets;
    for (const auto& gradient : gradients) offsets.push_back(gradient.mul(scale));
    return offsets;
  }

  double rho_;
  std::int64_t layers_, draw_every_, measure_every_;
  bool freezes_whole_layers_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::Stream* stream_ = nullptr;
  std::uint64_t draw_seed_ = 0;
  at::Tensor norms_, drawn_;  // of the last measurement (layers) float32, of the last draw (S) int64 in ascending order
};

}  // namespace

HOLDFAST_DEFENSE(TVaccine, "t-vaccine", 1,
                 "Vaccine in a few layers at a time, drawn by how hard harmful rows pull at them (T-Vaccine).")
