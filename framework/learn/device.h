// Where tensors live. CUDA is loaded at run time when it is asked for, so that one binary serves machines with and without.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace holdfast {

/// Loads libtorch's CUDA half once. False, with one sentence in *why, when this machine or this installation has none.
bool load_cuda(std::string* why);

/// Whether that was done and went well. To be asked before anything asks torch itself about CUDA: it remembers the answer that
/// it gave before the half was there.
bool has_loaded_cuda();

/// "cpu", "cuda", "cuda:N" or "auto" (cuda when there is one). Falls back to the CPU with one logged sentence when CUDA is
/// asked for and there is none. Throws Error for any other name, or for a device number that does not exist.
c10::Device resolve_device(const std::string& name);

/// "float32", "bfloat16", "float16", or "default": float32 on the CPU and bfloat16 on CUDA. Throws Error for any other name.
c10::ScalarType resolve_dtype(const std::string& name, c10::Device device);

std::string dtype_name(c10::ScalarType type);

}  // namespace holdfast
