// The kernels that the processor at hand can run. Apart from kernels.h, whose readers are compiled for other processors and
// take nothing of the standard library along.
#pragma once

#include <vector>

#include "model/kernels/kernels.h"

namespace holdfast {

/// What this processor can run, the fastest first.
std::vector<const Kernels*> usable_kernels();
/// The fastest.
const Kernels& kernels();

}  // namespace holdfast
