// What a stage reads from outside the store must still be what its key was made of.
#pragma once

#include "work/stage_request.h"

namespace holdfast {

/// Throws InputChanged for the first file that the request names with a digest and that has another one now, checkpoints of
/// models too. Files that stayed the same are not read again (remembered_sha256).
void check_inputs(const StageRequest& request);

}  // namespace holdfast
