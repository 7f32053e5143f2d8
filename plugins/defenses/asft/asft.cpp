// AsFT (Yang et al. 2025, "AsFT: anchoring safety during LLM fine-tuning within narrow safety basin"): tune with the plain loss
// plus lambda times the sum over linears of |(I - C) D|_F^2, where D is what tuning changed of the linear, V what the
// alignment changed of it, and C = V V^T / |V|_F, as published, or the orthogonal projector onto V's columns.
#include <ATen/ATen.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace {

using holdfast::Tensors;
using Weights = std::map<std::string, at::Tensor>;

// A linear that is trained: by an adapter's factors, D = B A, or as it stands, D = W - start.
struct Linear {
  at::Tensor m;              // (I - C)^T (I - C), (out, out)
  std::size_t a = 0, b = 0;  // places of A (r, in) and B (out, r) among the trained tensors; of W both
  at::Tensor start;          // (out, in), where W itself is trained; else undefined
};

constexpr std::string_view kFactorA = ".lora_A.weight";  // ends the name of an adapter's A

class Asft final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {
        .source = "Yang et al. 2025, arXiv 2506.08473; C as the authors' code has it (PKU-YuanGroup/AsFT)",
        .cost =
            "1 forward and backward pass a step, as plain, and products of (out, out) with each adapter; a matrix (out, "
            "out) a linear; the aligned and the base model before the first step",
        .presets = {{"repo",
                     {{"lambda", 1.0}, {"projection", "approximate"}},
                     "LoRA of rank 8, alpha 32, on q and v, lr 5e-5 times 0.85 an epoch, batches of 8, 10 epochs over 1,000 "
                     "rows"},
                    {"projector", {{"lambda", 1.0}, {"projection", "exact"}}},
                    {"organism", {{"lambda", 10.0}}}}};
  }

  explicit Asft(holdfast::Params& params)
      : lambda_(
            params.number("lambda", 1, "weight of what tuning changes outside the alignment's directions; 0: plain tuning", 0)),
        exact_(params.choice("projection", "approximate", {"approximate", "exact"},
                             "approximate: V V^T / |V|_F, as published; exact: the orthogonal projector onto V's columns") ==
               "exact"),
        tolerance_(params.number("rank_tolerance", 1e-3,
                                 "exact: directions of V count whose singular value is above this share of the largest", 0,
                                 1)) {}

  unsigned needs() const override { return holdfast::kNeedsAligned | holdfast::kNeedsBase; }

  void begin(holdfast::Trainer& trainer) override {
    linears_.clear();
    const Weights aligned = trainer.context().aligned_model().weights(), base = trainer.context().base_model().weights();
    const std::set<std::string> known = linears_of(trainer.model());
    const auto& names = trainer.names();
    bool any_changed = false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool has_adapter = names[i].ends_with(kFactorA);
      const std::string stem = has_adapter ? names[i].substr(0, names[i].size() - kFactorA.size()) : "";
      const std::string weight = has_adapter ? stem + ".weight" : names[i];
      if (known.count(weight) == 0) continue;
      const at::Tensor v = change(aligned, base, weight);
      any_changed = any_changed || v.any().item<bool>();
      Linear linear{m_of(v), i, i, {}};
      if (has_adapter) {
        linear.b = place_of(names, stem + ".lora_B.weight");
      } else {
        linear.start = trainer.weights()[i].clone();
      }
      linears_.push_back(std::move(linear));
    }
    if (linears_.empty()) throw holdfast::Error("asft holds linears of the blocks, and this training trains none of them");
    if (!any_changed) {
      throw holdfast::Error(
          "asft holds what is trained to what the alignment changed, and the aligned model's linears are those of its base: "
          "name the checkpoint that the alignment started from as base, or leave asft out");
    }
  }

  double step(holdfast::Trainer& trainer) override {
    const double loss = trainer.backward(trainer.rows().next());
    return lambda_ > 0 ? loss + lambda_ * add_penalty(trainer) : loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes anew all that is remembered

 private:
  // Adds lambda times the gradient of the sum over linears of |(I - C) D|_F^2 = tr(D^T M D), M = (I - C)^T (I - C), and returns
  // the sum. For D = B A it is tr(B^T M B A A^T), of which all products are r wide: d/dA = 2 B^T M B A, d/dB = 2 M B A A^T. For
  // D = W - start, d/dW = 2 M D.
  double add_penalty(holdfast::Trainer& trainer) const {
    const Tensors& weights = trainer.weights();
    Tensors gradient;
    for (const auto& weight : weights) gradient.push_back(at::zeros_like(weight));
    double sum = 0;
    for (const auto& linear : linears_) {
      if (linear.start.defined()) {
        const at::Tensor d = weights[linear.a] - linear.start, md = linear.m.matmul(d);
        sum += (d * md).sum().item<double>();
        gradient[linear.a] = 2 * md;
        continue;
      }
      const at::Tensor &a = weights[linear.a], &b = weights[linear.b];
      const at::Tensor mb = linear.m.matmul(b), bmb = b.t().matmul(mb), aa = a.matmul(a.t());
      sum += (bmb * aa).sum().item<double>();  // both are symmetric
      gradient[linear.a] = 2 * bmb.matmul(a);
      gradient[linear.b] = 2 * mb.matmul(aa);
    }
    trainer.add_gradient(gradient, lambda_);
    return sum;
  }

  // M = (I - C)^T (I - C), C of the alignment's change V (out, in); of no change C is zero.
  at::Tensor m_of(const at::Tensor& v) const {
    at::Tensor outside = at::eye(v.size(0), v.options());  // I - C
    if (v.any().item<bool>()) outside = outside - (exact_ ? projector(v) : v.matmul(v.t()) / v.norm());
    return outside.t().matmul(outside);
  }

  // V (V^T V)^+ V^T, onto the columns of V that count.
  at::Tensor projector(const at::Tensor& v) const {
    const auto [u, values, vh] = at::linalg_svd(v, /*full_matrices=*/false);
    const auto rank = (values > values[0] * tolerance_).sum().item<std::int64_t>();
    const at::Tensor columns = u.narrow(1, 0, rank);
    return columns.matmul(columns.t());
  }

  static std::set<std::string> linears_of(const holdfast::Model& model) {
    std::set<std::string> all;
    for (std::int64_t block = 0; block < model.layers(); ++block) {
      for (auto& name : model.linears(block)) all.insert(std::move(name));
    }
    return all;
  }

  // V = aligned - base, in at least float32.
  static at::Tensor change(const Weights& aligned, const Weights& base, const std::string& name) {
    const at::Tensor& weight = aligned.at(name);
    const auto other = base.find(name);
    if (other == base.end() || other->second.sizes() != weight.sizes()) {
      throw holdfast::Error("asft compares the aligned model with its base, and the base has no weight \"" + name +
                            "\" of that shape: name the checkpoint that the alignment started from as base");
    }
    const auto wide = at::promote_types(weight.scalar_type(), at::kFloat);
    return weight.to(wide) - other->second.to(weight.device(), wide);
  }

  static std::size_t place_of(const std::vector<std::string>& names, const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  }

  double lambda_;
  bool exact_;
  double tolerance_;
  std::vector<Linear> linears_;
};

}  // namespace

HOLDFAST_DEFENSE(Asft, "asft", 1, "Tunes while changes outside the alignment's directions cost loss (AsFT).")
