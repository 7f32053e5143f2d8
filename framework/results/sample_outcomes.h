// The outcomes of a samples file in columns: most of what a board reads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct SampleOutcomes {
  std::vector<std::string> probes;                     // their ids, sorted
  std::map<std::string, std::vector<double>> columns;  // by metric, a value a probe: NaN where it has none or it is not finite
};

/// Empty when there is no such file. Throws Error naming the line that is no sample.
SampleOutcomes read_sample_outcomes(const fs::path& file);

}  // namespace holdfast
