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
constexpr double kBiasPenalty = 1e-6;

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

// What decides a fit beside the model. Whoever changes how it is made raises the number.
std::string about_fit(const Dataset& rows, std::uint64_t seed) {
  std::string about = "harm probe 1, seed " + std::to_string(seed);
  for (const auto& row : rows) {
    const auto kind = row.tags.find("kind");
    const std::string text = last_content(row.messages, "user");
    about += kind != row.tags.end() && kind->second == "harmful" ? "\nharmful " : "\nother ";
    about += std::to_string(text.size()) + " " + text;
  }
  return about;
}

at::Tensor mean_states(const Model& aligned, const std::vector<std::string>& texts) {
  std::vector<Conversation> requests;
  for (const auto& text : texts) requests.push_back({{"user", text}});
  return aligned.mean_hidden(requests);
}

at::Tensor with_bias(const at::Tensor& x) { return at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1); }

// The penalised negative log-likelihood in the dual: weights x^T a, of which there are as many as rows and not as features, and
// a bias that goes all but free. What the minimum's weights are made of lies in the rows, and so does each of Newton's steps
// from 0, so both are those of the problem in the features.
class DualLogistic {
 public:
  DualLogistic(const at::Tensor& x, at::Tensor y) : gram_(x.matmul(x.t())), y_(std::move(y)), n_(x.size(0)) {}

  // Newton's method with step halving; the penalty makes the minimum unique. Of n + 1 numbers the bias is the last.
  at::Tensor minimum() const {
    at::Tensor at_point = at::zeros({n_ + 1}, gram_.options());
    double best = objective(at_point);
    for (int round = 0; round < 50; ++round) {
      at::Tensor move = newton_step(at_point);
      double now = objective(at_point - move);
      for (int halving = 0; halving < 30 && now > best; ++halving) {
        move = move / 2;
        now = objective(at_point - move);
      }
      if (!(now < best)) break;
      at_point = at_point - move;
      const bool settled = best - now < 1e-10 * (1 + best);
      best = now;
      if (settled) break;
    }
    return at_point;
  }

 private:
  at::Tensor a(const at::Tensor& at_point) const { return at_point.narrow(0, 0, n_); }
  static at::Tensor bias(const at::Tensor& at_point) { return at_point[-1]; }
  at::Tensor logits(const at::Tensor& at_point) const { return gram_.matmul(a(at_point)) + bias(at_point); }

  double objective(const at::Tensor& at_point) const {
    const at::Tensor z = logits(at_point);
    const at::Tensor ridge = kPenalty * a(at_point).dot(gram_.matmul(a(at_point))) + kBiasPenalty * bias(at_point).square();
    return ((at::softplus(z) - y_ * z).sum() + 0.5 * ridge).item<double>();
  }

  // Of the gradient x^T (p - y + penalty a) and the Hessian x^T diag(p (1 - p)) x + penalty, with x^T taken out of both.
  at::Tensor newton_step(const at::Tensor& at_point) const {
    const at::Tensor p = at::sigmoid(logits(at_point));
    const at::Tensor curvature = p * (1 - p);
    const at::Tensor slope = p - y_ + kPenalty * a(at_point);
    const at::Tensor curved = curvature.unsqueeze(1) * gram_;
    const at::Tensor rows = at::cat({curved + kPenalty * at::eye(n_, gram_.options()), curvature.unsqueeze(1)}, 1);
    const at::Tensor last = at::cat({curved.sum(0), (curvature.sum() + kBiasPenalty).unsqueeze(0)});
    const at::Tensor bias_slope = (p - y_).sum() + kBiasPenalty * bias(at_point);
    return at::linalg_solve(at::cat({rows, last.unsqueeze(0)}), at::cat({slope, bias_slope.unsqueeze(0)}));
  }

  at::Tensor gram_, y_;  // (n, n), (n)
  std::int64_t n_;
};

// The weights of the features, (C + 1) with the bias last.
at::Tensor fit_logistic(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor found = DualLogistic(x, y).minimum();
  return at::cat({x.t().matmul(found.narrow(0, 0, x.size(0))), found.narrow(0, x.size(0), 1)});
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

HarmProbe HarmProbe::fit(Context& context, const Dataset& alignment) {
  const std::uint64_t seed = context.seed("probe");
  return from_numbers(context.kept_of_aligned(about_fit(alignment, seed),
                                              [&] { return fit(context.aligned_model(), alignment, seed).numbers(); }));
}

// The three figures, then those of each feature, and the bias last.
std::vector<double> HarmProbe::numbers() const {
  std::vector<double> numbers = {precision_, recall_, static_cast<double>(held_out_)};
  for (const auto* part : {&mean_, &scale_, &weights_}) numbers.insert(numbers.end(), part->begin(), part->end());
  return numbers;
}

HarmProbe HarmProbe::from_numbers(const std::vector<double>& numbers) {
  constexpr std::size_t kFigures = 3;
  HOLDFAST_CHECK(numbers.size() > kFigures && (numbers.size() - kFigures) % 3 == 1);
  const auto width = static_cast<std::ptrdiff_t>((numbers.size() - kFigures) / 3);
  const auto features = numbers.begin() + kFigures;
  HarmProbe probe;
  probe.precision_ = numbers[0];
  probe.recall_ = numbers[1];
  probe.held_out_ = static_cast<std::int64_t>(numbers[2]);
  probe.mean_.assign(features, features + width);
  probe.scale_.assign(features + width, features + 2 * width);
  probe.weights_.assign(features + 2 * width, numbers.end());
  return probe;
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
  probe.weights_ = to_vector(fit_logistic((x - mean) / scale, to_tensor(fitted.harmful)));

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
