// How the organism's base is made: from random weights, on the pre-training corpus.
#pragma once

#include <holdfast/trainer.h>

#include "learn/language_model.h"

namespace holdfast::organism {

/// Part of stage keys. Whoever changes what a newborn is or how it is trained raises it; the options are in the keys
/// themselves.
inline constexpr int kRecipeRevision = 1;

/// An organism with random weights, in float32 on the CPU; a function of the world's seed.
LanguageModel newborn();

/// How the newborn is trained. The order of rows is drawn with the world's seed as it is.
TrainingOptions pretraining_options();

}  // namespace holdfast::organism
