// Training options as a scenario and a worker's request state them.
#pragma once

#include <holdfast/trainer.h>

#include "base/json.h"

namespace holdfast {

/// The inverse of to_json(TrainingOptions) in learn/training.h.
TrainingOptions training_options_from_json(const Json& json);

Json to_json(const GenerateOptions& options);
GenerateOptions generate_options_from_json(const Json& json);

}  // namespace holdfast
