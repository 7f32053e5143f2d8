// What two judges of the same replies say, as text.
#pragma once

#include <string>

#include "report/results.h"
#include "report/text_table.h"

namespace holdfast {

/// Pairs of judges: kappa, its interval, and the confusion of their yes and no.
TextTable agreement_table(const Results& results, const std::string& model);

/// Of the replies that the exact judge calls harmful, how many the keyword judge does not; empty without both judges.
std::string false_refusals(const Results& results, const std::string& model);

}  // namespace holdfast
