// One model's rows of one seed, as if no other had been run.
#pragma once

#include "report/results.h"

namespace holdfast {

/// Cells that the seed has no row of are left out; the names of attacks and defenses all stay.
Results of_one_seed(const Results& results, const std::string& model, std::int64_t seed);

}  // namespace holdfast
