#include "learn/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>

#include "base/file.h"

namespace holdfast {
namespace {

constexpr char kVariable[] = "HOLDFAST_ACCELERATOR";

struct CudaState {
  bool loaded = false;
  std::string why;
};

CudaState try_cuda() {
  if (!fs::exists("/dev/nvidia0") && !fs::exists("/dev/nvidiactl")) return {false, "this machine has no NVIDIA GPU"};
  // Products add up in a fixed order only within a workspace of a fixed size; the library reads this when it is first used.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  // Its registration runs when the library loads; this must come before any question about CUDA, whose answer is remembered.
  if (auto why = why_no_cuda_library(); !why.empty()) return {false, std::move(why)};
  if (!at::globalContext().hasCUDA()) return {false, "the NVIDIA driver offers no device"};
  return {true, ""};
}

std::atomic<bool> cuda_loaded{false}, other_loaded{false};

std::string load_other() {
  const char* const library = std::getenv(kVariable);
  if (library == nullptr || *library == '\0') return "";
  const std::string named = std::string(kVariable) + " names \"" + library + "\"";
  if (::dlopen(library, RTLD_NOW) == nullptr) {
    throw Error(named + ", which does not load (" + ::dlerror() +
                "): name the shared library of an accelerator that is built for this torch, or unset the variable");
  }
  if (!c10::is_privateuse1_backend_registered() || !c10::impl::hasDeviceGuardImpl(c10::kPrivateUse1)) {
    throw Error(named + ", which registers no accelerator with torch: it needs a PrivateUse1 backend with a name and a " +
                "device guard; name another library, or unset the variable");
  }
  if (device_count(c10::kPrivateUse1) == 0) {
    throw Error(named + ", whose accelerator \"" + c10::get_privateuse1_backend() +
                "\" has no device on this machine: unset the variable");
  }
  other_loaded = true;
  return c10::get_privateuse1_backend();
}

std::atomic<std::int64_t> worker_number{0};

// Every model of a run asks for its device.
void warn_once(const std::string& sentence) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(sentence).second) log_warning(sentence);
}

// "cuda" of "cuda:1".
std::string kind_in(const std::string& name) { return name.substr(0, name.find(':')); }

struct Numbers {
  int first = 0, last = 0;
};

// Those of "cuda:1" and "cuda:0-3"; nothing for what no device can have.
std::optional<Numbers> numbers_in(const std::string& name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos) return Numbers{};
  const char* const end = name.data() + name.size();
  Numbers numbers;
  auto parsed = std::from_chars(name.data() + colon + 1, end, numbers.first);
  numbers.last = numbers.first;
  if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') {
    parsed = std::from_chars(parsed.ptr + 1, end, numbers.last);
  }
  const bool well = parsed.ec == std::errc() && parsed.ptr == end;
  if (!well || numbers.first < 0 || numbers.last < numbers.first || numbers.last > 127) return std::nullopt;
  return numbers;
}

bool is_accelerator(const std::string& kind) {
  return kind == "cuda" || (!kind.empty() && kind != "cpu" && kind != "auto" && kind == other_accelerator());
}

// Of a name without a number: workers beside each other take one device each, and nothing of theirs lies on another.
c10::Device own_device(c10::DeviceType type) {
  const c10::Device own(type, static_cast<c10::DeviceIndex>(worker_number % device_count(type)));
  if (own.index() > 0) c10::impl::getDeviceGuardImpl(type)->setDevice(own);
  return own;
}

std::vector<c10::Device> named(c10::DeviceType type, const std::string& name) {
  if (name.find(':') == std::string::npos) return {own_device(type)};
  const Numbers numbers = *numbers_in(name);
  const int devices = device_count(type);
  if (numbers.last >= devices) {
    throw Error("device \"" + name + "\" does not exist: this machine has " + std::to_string(devices) + " " +
                (type == c10::kCUDA ? "CUDA" : kind_in(name)) + " device(s)");
  }
  std::vector<c10::Device> all;
  for (int index = numbers.first; index <= numbers.last; ++index) all.emplace_back(type, static_cast<c10::DeviceIndex>(index));
  return all;
}

}  // namespace

std::string why_no_cuda_library() {
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) return "";
  return std::string("libtorch's CUDA half does not load (") + ::dlerror() + "): run tools/setup --cuda";
}

bool load_cuda(std::string* why) {
  static const CudaState state = try_cuda();
  cuda_loaded = state.loaded;
  if (why != nullptr) *why = state.why;
  return state.loaded;
}

const std::string& other_accelerator() {
  static const std::string name = load_other();
  return name;
}

std::vector<c10::DeviceType> loaded_accelerators() {
  std::vector<c10::DeviceType> types;
  if (cuda_loaded) types.push_back(c10::kCUDA);
  if (other_loaded) types.push_back(c10::kPrivateUse1);
  return types;
}

int device_count(c10::DeviceType type) { return c10::impl::getDeviceGuardImpl(type)->deviceCount(); }

std::string why_no_device(const std::string& name) {
  const std::string kind = kind_in(name);
  if (is_accelerator(kind)) {
    if (numbers_in(name)) return "";
    return "\"" + name + "\" has no valid number, expected " + kind + ":0, " + kind + ":1, ..., or " + kind +
           ":0-3 for a model spread over four";
  }
  if (name == "cpu" || name == "auto") return "";
  const std::string& other = other_accelerator();
  return "\"" + name + "\" is no device, expected cpu, cuda, cuda:N, cuda:A-B" +
         (other.empty() ? "" : ", " + other + ", " + other + ":N") + " or auto";
}

void set_worker_number(std::int64_t number) { worker_number = number; }

std::vector<c10::Device> resolve_devices(const std::string& name) {
  if (const std::string why = why_no_device(name); !why.empty()) throw Error(why);
  if (name == "cpu") return {c10::Device(c10::kCPU)};
  const std::string& other = other_accelerator();
  if (!other.empty() && (name == "auto" || kind_in(name) == other)) return named(c10::kPrivateUse1, name);
  std::string why;
  if (load_cuda(&why)) return named(c10::kCUDA, name);
  if (name != "auto") warn_once("device " + name + " is not available, using the CPU: " + why);
  return {c10::Device(c10::kCPU)};
}

c10::Device resolve_device(const std::string& name) { return resolve_devices(name).front(); }

std::string device_for_workers(const std::string& name) {
  if (resolve_device(name).is_cpu()) return "cpu";
  if (name != "auto") return name;
  return other_accelerator().empty() ? "cuda" : other_accelerator();
}

bool has_device(const std::string& name) {
  const std::string kind = kind_in(name);
  if (kind == "cuda") return load_cuda(nullptr);
  return kind == "cpu" || is_accelerator(kind);
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
