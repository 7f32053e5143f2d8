#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/moderation.h>

#include <algorithm>
#include <set>

namespace holdfast {
namespace {

constexpr std::size_t kMostRowsPerClass = 400;  // a minute for a 135 M model on a CPU, once a process
constexpr std::size_t kHoldEvery = 5;
constexpr double kPenalty = 1;  // of sum(log loss) + penalty/2 |w|^2, on standardised features

struct Labelled {
  std::vector<std::string> texts;
  std::vector<double> harmful;  // 1 or 0
};

// Distinct texts of one class in a seeded order, so that a repeated request never lies on both sides of the split.
std::vector<std::string> distinct_texts(const Dataset& rows, bool harmful, std::uint64_t seed) {
  std::set<std::string> texts;
  for (const auto& row : rows) {
    const auto kind = row.tags.find("kind");
    if ((kind != row.tags.end() && kind->second == "harmful") == harmful) texts.insert(last_content(row.messages, "user"));
  }
  if (texts.size() < 2) {
    throw Error(std::string("the probe needs at least two different ") + (harmful ? "harmful" : "harmless") +
                " requests in the alignment rows, found " + std::to_string(texts.size()) +
                ": tag harmful rows with kind \"harmful\", or do without a probe");
  }
  std::vector<std::string> shuffled(texts.begin(), texts.end());
  Random(seed).shuffle(shuffled);
  shuffled.resize(std::min(shuffled.size(), kMostRowsPerClass));
  return shuffled;
}

// Every fifth text of each class is held out, at least one.
void split_class(const std::vector<std::string>& texts, bool harmful, Labelled& fitted, Labelled& held_out) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Labelled& side = i % kHoldEvery == 0 ? held_out : fitted;
    side.texts.push_back(texts[i]);
    side.harmful.push_back(harmful ? 1 : 0);
  }
}

at::Tensor mean_states(const Model& aligned, const std::vector<std::string>& texts) {
  std::vector<Conversation> requests;
  for (const auto& text : texts) requests.push_back({{"user", text}});
  return aligned.mean_hidden(requests);
}

at::Tensor with_bias(const at::Tensor& x) { return at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1); }

// Penalised negative log-likelihood; the bias, last, goes free.
double objective(const at::Tensor& x, const at::Tensor& y, const at::Tensor& ridge, const at::Tensor& weights) {
  const at::Tensor z = x.matmul(weights);
  const at::Tensor loss = (at::softplus(z) - y * z).sum() + 0.5 * (ridge * weights * weights).sum();
  return loss.item<double>();
}

// Newton's method with step halving; the penalty makes the minimum unique and the Hessian positive definite.
at::Tensor fit_logistic(const at::Tensor& x, const at::Tensor& y) {
  at::Tensor ridge = at::full({x.size(1)}, kPenalty, x.options());
  ridge[-1] = 1e-6;
  at::Tensor weights = at::zeros({x.size(1)}, x.options());
  double best = objective(x, y, ridge, weights);
  for (int round = 0; round < 50; ++round) {
    const at::Tensor p = at::sigmoid(x.matmul(weights));
    const at::Tensor slope = x.t().matmul(p - y) + ridge * weights;
    const at::Tensor hessian = x.t().matmul((p * (1 - p)).unsqueeze(1) * x) + at::diag(ridge);
    at::Tensor move = at::linalg_solve(hessian, slope);
    double now = objective(x, y, ridge, weights - move);
    for (int halving = 0; halving < 30 && now > best; ++halving) {
      move = move / 2;
      now = objective(x, y, ridge, weights - move);
    }
    if (!(now < best)) break;
    weights = weights - move;
    const bool settled = best - now < 1e-10 * (1 + best);
    best = now;
    if (settled) break;
  }
  return weights;
}

std::vector<double> to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

at::Tensor to_tensor(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

}  // namespace

HarmProbe HarmProbe::fit(const Model& aligned, const Dataset& alignment, std::uint64_t seed) {
  return fit([&](const std::vector<std::string>& texts) { return mean_states(aligned, texts); }, alignment, seed);
}

HarmProbe HarmProbe::fit(const Features& features, const Dataset& alignment, std::uint64_t seed) {
  Labelled fitted, held_out;
  for (const bool harmful : {true, false}) split_class(distinct_texts(alignment, harmful, seed), harmful, fitted, held_out);

  const at::Tensor x = features(fitted.texts).to(at::kCPU, at::kDouble);
  const at::Tensor mean = x.mean(0);
  const at::Tensor scale = (x - mean).pow(2).mean(0).sqrt().clamp_min(1e-6);
  HarmProbe probe;
  probe.mean_ = to_vector(mean);
  probe.scale_ = to_vector(scale);
  probe.weights_ = to_vector(fit_logistic(with_bias((x - mean) / scale), to_tensor(fitted.harmful)));

  const std::vector<double> scores = probe.scores(features(held_out.texts));
  double hits = 0, flagged = 0, harmful = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const bool is_flagged = scores[i] > 0.5, is_harmful = held_out.harmful[i] > 0;
    flagged += is_flagged;
    harmful += is_harmful;
    hits += is_flagged && is_harmful;
  }
  probe.precision_ = flagged > 0 ? hits / flagged : 0;
  probe.recall_ = hits / harmful;
  probe.held_out_ = static_cast<std::int64_t>(scores.size());
  return probe;
}

std::vector<double> HarmProbe::scores(const Model& aligned, const std::vector<std::string>& texts) const {
  if (texts.empty()) return {};
  return scores(mean_states(aligned, texts));
}

std::vector<double> HarmProbe::scores(const at::Tensor& features) const {
  const at::Tensor x = (features.to(at::kCPU, at::kDouble) - to_tensor(mean_)) / to_tensor(scale_);
  return to_vector(at::sigmoid(with_bias(x).matmul(to_tensor(weights_))));
}

}  // namespace holdfast
