#include "learn/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <set>

#include "base/file.h"

namespace holdfast {
namespace {

struct CudaState {
  bool loaded = false;
  std::string why;
};

CudaState try_cuda() {
  if (!fs::exists("/dev/nvidia0") && !fs::exists("/dev/nvidiactl")) return {false, "this machine has no NVIDIA GPU"};
  // Its registration runs when the library loads; this must come before any question about CUDA, whose answer is remembered.
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return {false, std::string("libtorch's CUDA half does not load (") + ::dlerror() + "): run tools/setup --cuda"};
  }
  if (!at::globalContext().hasCUDA()) return {false, "the NVIDIA driver offers no device"};
  return {true, ""};
}

std::atomic<bool> cuda_loaded{false};

// Every model of a run asks for its device.
void warn_once(const std::string& sentence) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(sentence).second) log_warning(sentence);
}

}  // namespace

bool load_cuda(std::string* why) {
  static const CudaState state = try_cuda();
  cuda_loaded = state.loaded;
  if (why != nullptr) *why = state.why;
  return state.loaded;
}

bool has_loaded_cuda() { return cuda_loaded; }

c10::Device resolve_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const bool numbered = name.rfind("cuda:", 0) == 0;
  if (name != "auto" && name != "cuda" && !numbered) {
    throw Error("device \"" + name + "\" is not known; use cpu, cuda, cuda:N or auto");
  }
  int index = 0;
  if (numbered) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + 5, end, index);
    if (parsed.ec != std::errc() || parsed.ptr != end || index < 0 || index > 127) {
      throw Error("device \"" + name + "\" has no valid number; use cuda:0, cuda:1, ...");
    }
  }
  std::string why;
  if (!load_cuda(&why)) {
    if (name != "auto") warn_once("device " + name + " is not available, using the CPU: " + why);
    return c10::Device(c10::kCPU);
  }
  const int devices = at::globalContext().getAcceleratorHooksInterface(c10::kCUDA).deviceCount();
  if (index >= devices) {
    throw Error("device \"" + name + "\" does not exist: this machine has " + std::to_string(devices) + " CUDA device(s)");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

c10::ScalarType resolve_dtype(const std::string& name, c10::Device device) {
  if (name == "default") return device.is_cpu() ? c10::kFloat : c10::kBFloat16;
  if (name == "float32") return c10::kFloat;
  if (name == "bfloat16") return c10::kBFloat16;
  if (name == "float16") return c10::kHalf;
  throw Error("dtype \"" + name + "\" is not known; use float32, bfloat16 or float16");
}

std::string dtype_name(c10::ScalarType type) {
  switch (type) {
    case c10::kFloat:
      return "float32";
    case c10::kBFloat16:
      return "bfloat16";
    case c10::kHalf:
      return "float16";
    case c10::kDouble:
      return "float64";
    default:
      return "another type";
  }
}

}  // namespace holdfast
