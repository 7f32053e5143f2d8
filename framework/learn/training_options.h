// The options of training and of generation, each declared once (base/option.h).
#pragma once

#include <holdfast/trainer.h>

#include "base/option.h"

namespace holdfast {

const OptionTable<TrainingOptions>& training_options();

/// As stage keys, run.json and a worker's request state them.
Json to_json(const TrainingOptions& options);
TrainingOptions training_options_from_json(const Json& json);

/// The seed is no option: a stage derives its own.
const OptionTable<GenerateOptions>& generate_options();

Json to_json(const GenerateOptions& options);
GenerateOptions generate_options_from_json(const Json& json);

}  // namespace holdfast
