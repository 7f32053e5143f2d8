// What a stage reads from outside the store must still be what its key was made of.
#pragma once

#include "work/stages.h"

namespace holdfast {

/// Throws InputChanged for the first file that the request names with a digest and that has another one now, checkpoints of
/// models too. Files that kept size and time are not read again.
void check_inputs(const StageRequest& request, const Store& store);

}  // namespace holdfast
