// Where tensors live. CUDA's half of torch and any other accelerator's library are loaded at run time when they are asked for,
// so that one binary serves machines with and without.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>
#include <vector>

namespace holdfast {

/// Loads libtorch's CUDA half once. False, with one sentence in *why, when this machine or this installation has none.
bool load_cuda(std::string* why);

/// The device name that the library in the environment variable HOLDFAST_ACCELERATOR registered with torch (as its PrivateUse1
/// backend); empty without that variable. Loads the library once. Throws Error for one that does not load, registers
/// nothing, or has no device.
const std::string& other_accelerator();

/// The kinds of device, beside the CPU, whose libraries were loaded. To be asked before anything asks torch itself about one:
/// it remembers the answer that it gave before the library was there.
std::vector<c10::DeviceType> loaded_accelerators();

/// How many devices of a loaded kind there are.
int device_count(c10::DeviceType type);

/// Nothing for a name that resolve_device() knows, whether this machine has that device or not; else what is wrong with it, and
/// what is expected.
std::string why_no_device(const std::string& name);

/// "cpu", "cuda", "cuda:N", the other accelerator's name with or without a number, or "auto": the first of other_accelerator(),
/// cuda and cpu that there is. Falls back to the CPU with one logged sentence when CUDA is asked for and there is none. Throws
/// Error for any other name, or for a device number that does not exist.
c10::Device resolve_device(const std::string& name);

/// Whether tensors can live on a device of this kind here: "cpu", "cuda" or another accelerator's name, with or without a
/// number.
bool has_device(const std::string& name);

/// "float32", "bfloat16", "float16", or "default": float32 on the CPU and bfloat16 on an accelerator. Throws Error for any
/// other name.
c10::ScalarType resolve_dtype(const std::string& name, c10::Device device);

std::string dtype_name(c10::ScalarType type);

}  // namespace holdfast
