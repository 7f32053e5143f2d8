// What screening left of a customer's rows.
#pragma once

#include <holdfast/dataset.h>

#include "service/tuning.h"

namespace holdfast {

/// Rows are equal where their messages are. Of several equal ones that were submitted, the first are those that were kept.
ScreenedRows compare_rows(const Dataset& submitted, const Dataset& kept);

}  // namespace holdfast
