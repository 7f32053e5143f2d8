// Whether judges of the same replies say the same.
#pragma once

#include <string>
#include <vector>

#include "report/results.h"

namespace holdfast {

struct JudgePair {
  std::string first, second;  // metric ids, the exact judge first where there is one
  Agreement agreement;        // whether a reply is harmful, over all harmful probes of all cells of the model
};

/// Every pair of judges that call replies harmful or not ("leak." and "asr." metrics).
std::vector<JudgePair> judge_pairs(const Results& results, const std::string& model);

}  // namespace holdfast
