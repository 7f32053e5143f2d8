// Where tensors live. CUDA's half of torch and any other accelerator's library are loaded at run time when they are asked for,
// so that one binary serves machines with and without.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

/// Why libtorch's CUDA half cannot be loaded, be there a GPU or not; empty: it is there and loads. Loads it.
std::string why_no_cuda_library();

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

/// Which of a run's workers this process is, from 0. A device that is asked for without a number ("cuda", "auto") is then the
/// one of that number, counted round those of the machine.
void set_worker_number(std::int64_t number);

/// "cpu", "cuda", "cuda:N", "cuda:A-B" (the devices from A to B), the other accelerator's name in the same forms, or "auto":
/// the first of other_accelerator(), cuda and cpu that there is. The blocks of a model are spread over all that this returns,
/// and its first is where tokens go in and states come out. Falls back to the CPU with one logged sentence when CUDA is asked
/// for and there is none. Throws Error for any other name, or for a device number that does not exist.
std::vector<c10::Device> resolve_devices(const std::string& name);

/// The first of them.
c10::Device resolve_device(const std::string& name);

/// The same device by a name that each worker may resolve for itself: without a number where the given name has none.
std::string device_for_workers(const std::string& name);

/// Whether tensors can live on a device of this kind here: "cpu", "cuda" or another accelerator's name, with or without a
/// number.
bool has_device(const std::string& name);

/// "float32", "bfloat16", "float16", or "default": float32 on the CPU and bfloat16 on an accelerator. Throws Error for any
/// other name.
c10::ScalarType resolve_dtype(const std::string& name, c10::Device device);

std::string dtype_name(c10::ScalarType type);

}  // namespace holdfast
