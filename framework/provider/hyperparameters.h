// Training options in a provider's terms.
#pragma once

#include <holdfast/trainer.h>

#include "provider/dialect.h"

namespace holdfast {

/// What the request that creates a job says of these options: {place: value}. `base_lr` is that of [[model]]. Throws Error that
/// names every option that differs from its default and that the provider's interface has no words for.
Json hyperparameters(const Dialect& dialect, const TrainingOptions& options, double base_lr);

}  // namespace holdfast
