// Figures and changes in words that need no knowledge of the board.
#pragma once

#include <string>

#include "report/effects.h"
#include "report/notice/notice.h"

namespace holdfast {

/// What a metric counts: "harmful requests complied with (judge keyword)".
std::string words_of_metric(const std::string& metric);
/// Whether a smaller figure is the better one.
bool lower_is_better(const std::string& metric);
/// Whether the metric is a share, from 0 to 1.
bool is_share_metric(const std::string& metric);

/// "8 %"; a score or a perplexity as it is.
std::string amount(const std::string& metric, double value);
/// "8 % (2 to 21)".
std::string amount_with_interval(const std::string& metric, const PooledMetric& pooled);
/// "+8 points (-3 to +12)"; of a perplexity the factor, "x 1.20 (1.10 to 1.31)".
std::string change_words(const DefenseEffect& effect);
/// The noise floor on the same scale; "not known" with one seed.
std::string noise_words(const DefenseEffect& effect);
/// "lower", "higher", "within noise", "unclear" (effect_word).
std::string outcome_words(const DefenseEffect& effect);

/// "before customising, with the same protection".
std::string words_of(Baseline which);

/// "a, b and c".
std::string listed(const std::vector<std::string>& names);

}  // namespace holdfast
