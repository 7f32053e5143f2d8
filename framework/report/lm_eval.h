// Utility figures in the form of lm-evaluation-harness's results files.
#pragma once

#include "base/file.h"

namespace holdfast {

/// Writes <out>/<model>/<attack>/<defense>/results_seed-<n>.json for each ok cell of a results folder that has utility metrics:
/// "results" by task with value and standard error, "n-samples", "higher_is_better" and "config". What a task's metric is
/// called follows from run.json: acc_norm, exact_match, rougeL, perplexity; acc for the organism's. Returns how many files were
/// written. Throws Error as read_results, and when the folder cannot be written.
int write_lm_eval(const fs::path& results_folder, const fs::path& out);

}  // namespace holdfast
