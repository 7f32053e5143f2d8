// The half of the program that loads torch.
#pragma once

#include "base/file.h"

namespace holdfast {

/// The program that holds all verbs and serves as worker, beside the running one (cli/engine/main.cpp).
inline fs::path engine_program() { return program_folder() / "holdfast-engine"; }
/// What users start.
inline fs::path front_program() { return program_folder() / "holdfast"; }

}  // namespace holdfast
