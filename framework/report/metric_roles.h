// What a metric says about a defense, as its id tells: harm, price, score.
#pragma once

#include <string>
#include <vector>

#include "report/model_cells.h"

namespace holdfast {

// None of them is about held-out probes (judge/held_out.h), whose metrics are read by who asks for them.

/// Of a judge that rates: "score." ids.
bool is_score(const std::string& metric);
/// Of what the model is worth to an ordinary user: "utility." and "perplexity." ids.
bool is_utility(const std::string& metric);
/// Of a judge that calls replies harmful or not: "asr." and "leak." ids.
bool calls_harmful(const std::string& metric);
/// Of a judge that knows what is harmful: "leak." ids.
bool is_exact(const std::string& metric);
/// Of ordinary requests that were refused: "over-refusal." and "refusal-benign." ids.
bool is_refusal(const std::string& metric);
/// What follows the name, with its dot: the judge, or the task.
std::string after_dot(const std::string& metric);

/// The harm metrics that a model's cells have, the exact judge's first, then those that know incoherent replies apart. One
/// empty name where there is none.
std::vector<std::string> harm_metrics(const ModelCells& cells);

/// What a defense costs an ordinary user: utility, coherence, and the refusals that the judge of the harm sees, or else those
/// of the first judge that sees any.
std::vector<std::string> price_metrics(const ModelCells& cells, const std::string& harm);

}  // namespace holdfast
