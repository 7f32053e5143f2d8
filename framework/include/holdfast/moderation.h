// Scoring text for harm, shared by every filter: by listed phrases, or by a probe on the aligned model's hidden states.
#pragma once

#include <holdfast/context.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// Logistic regression on the aligned model's mean final hidden state of a request (user turn alone), fitted on the alignment
/// rows (kind "harmful" against the rest), a fifth of them held out.
class HarmProbe {
 public:
  /// What stands for each request where it is not that state: (B, C).
  using Features = std::function<at::Tensor(const std::vector<std::string>& requests)>;

  /// Fits with Newton steps on standardised features and an L2 penalty; deterministic. Throws Error when one class is missing.
  static HarmProbe fit(const Model& aligned, const Dataset& alignment, std::uint64_t seed);
  /// The same on other features (adaptive KL, arXiv 2602.17546).
  static HarmProbe fit(const Features& features, const Dataset& alignment, std::uint64_t seed);

  /// Probability of harm of each text, taken as a user turn.
  std::vector<double> scores(const Model& aligned, const std::vector<std::string>& texts) const;
  /// Of each row of features, (B, C).
  std::vector<double> scores(const at::Tensor& features) const;

  double precision() const { return precision_; }  // on the held-out rows, at 0.5
  double recall() const { return recall_; }
  std::int64_t held_out() const { return held_out_; }

 private:
  std::vector<double> mean_, scale_, weights_;  // (C), (C), (C + 1) with the bias last
  double precision_ = 0, recall_ = 0;
  std::int64_t held_out_ = 0;
};

/// The moderation settings of a filter plugin ("by", "phrases", "threshold") and the decision they make.
class Moderator {
 public:
  explicit Moderator(Params& params);
  bool uses_aligned_model() const { return by_probe_; }
  /// Which texts are flagged. Reports the probe's held-out precision and recall through the context.
  std::vector<bool> flags(const std::vector<std::string>& texts, Context& context) const;

 private:
  bool by_probe_ = false;
  std::vector<std::string> phrases_;  // lower case
  double threshold_ = 0.5;
};

}  // namespace holdfast
