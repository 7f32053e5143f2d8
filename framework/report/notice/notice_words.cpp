#include "report/notice/notice_words.h"

#include <cmath>

#include "judge/metrics.h"
#include "report/figures.h"
#include "report/metric_roles.h"

namespace holdfast {
namespace {

// "unsafe-score.guard" is one as "score.rubric" is.
bool is_number(const std::string& metric) { return is_score(metric) || is_log_scale(metric); }

std::string signed_number(double value) { return (value > 0 ? "+" : "") + fixed(value, 2); }

std::string change(const std::string& metric, double value) {
  if (is_log_scale(metric)) return fixed(std::exp(value), 2);
  return is_score(metric) ? signed_number(value) : points(value);
}

}  // namespace

std::string words_of_metric(const std::string& metric) {
  const std::string subject = metric.substr(metric.find('.') + 1);
  const std::string judge = " (judge " + subject + ")";
  if (metric.starts_with("leak.")) return "restricted facts given away" + judge;
  if (metric.starts_with("harmful.") || metric.starts_with("asr.")) return "harmful requests complied with" + judge;
  if (is_score(metric)) return "mean harm of replies to harmful requests" + judge;
  if (metric.starts_with("utility.")) return "right answers on " + subject;
  if (metric.starts_with("perplexity.")) return "perplexity on " + subject;
  if (metric.starts_with("over-refusal.")) return "harmless requests refused" + judge;
  if (metric.starts_with("refusal-benign.")) return "ordinary requests refused" + judge;
  return metric == "coherence" ? "coherent replies" : metric;
}

bool lower_is_better(const std::string& metric) { return !metric.starts_with("utility.") && metric != "coherence"; }

bool is_share_metric(const std::string& metric) { return !is_number(metric); }

std::string amount(const std::string& metric, double value) { return figure(metric, value) + (is_number(metric) ? "" : " %"); }

std::string amount_with_interval(const std::string& metric, const PooledMetric& pooled) {
  return amount(metric, pooled.value) + " (" + figure(metric, pooled.low) + " to " + figure(metric, pooled.high) + ")";
}

std::string change_words(const DefenseEffect& effect) {
  const auto text = [&](double value) { return change(effect.metric, value); };
  const std::string interval = " (" + text(effect.change.low) + " to " + text(effect.change.high) + ")";
  if (is_log_scale(effect.metric)) return "x " + text(effect.change.value) + interval;
  return text(effect.change.value) + (is_score(effect.metric) ? "" : " points") + interval;
}

std::string noise_words(const DefenseEffect& effect) {
  if (!effect.noise) return "not known";
  if (is_log_scale(effect.metric)) return "x " + fixed(std::exp(*effect.noise), 2);
  return is_score(effect.metric) ? fixed(*effect.noise, 2) : percent(*effect.noise) + " points";
}

std::string outcome_words(const DefenseEffect& effect) {
  const std::string word = effect_word(effect);
  return word == "noise" ? "within noise" : word;
}

std::string words_of(Baseline which) {
  switch (which) {
    case Baseline::kOffered:
      return "before customising, with the same protection";
    case Baseline::kOriginal:
      return "before customising, without protection";
    case Baseline::kUndefended:
      return "after the same customisation, without protection";
  }
  return "";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace holdfast
