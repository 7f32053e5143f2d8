// What this machine can do, in the words of the options that use it.
#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/isolation.h"
#include "base/memory_group.h"
#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "learn/device.h"
#include "work/versions.h"

namespace holdfast::cli {
namespace {

void line(const std::string& subject, const std::string& finding) {
  std::printf("%-12s%s\n", subject.c_str(), finding.c_str());
}

// The first "name : value" of a file such as /proc/cpuinfo.
std::string field(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string text; std::getline(in, text);) {
    if (!text.starts_with(name)) continue;
    const auto value = text.find_first_not_of(" \t", text.find(':') + 1);
    return value == std::string::npos ? "" : text.substr(value);
  }
  return "";
}

std::string useful_features() {
  std::istringstream flags(field("/proc/cpuinfo", "flags"));
  std::string found;
  for (std::string flag; flags >> flag;) {
    for (const auto* wanted : {"avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"}) {
      if (flag == wanted) found += " " + flag;
    }
  }
  return found.empty() ? " no AVX2: expect it to be slow" : found;
}

int usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return ::sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 0;
}

constexpr double kGib = 1024.0 * 1024 * 1024;

std::string gib(double bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", bytes / kGib);
  return text;
}

std::string memory(const std::string& name) {
  const std::string kib = field("/proc/meminfo", name);
  return kib.empty() ? "unknown" : gib(std::stod(kib) * 1024);
}

// A container's limit, when there is one.
std::string memory_limit() {
  std::ifstream in("/sys/fs/cgroup/memory.max");
  double bytes = 0;
  return in >> bytes ? ", limited to " + gib(bytes) + " here" : "";
}

void print_machine() {
  line("cpu", field("/proc/cpuinfo", "model name") + ":" + useful_features());
  line("cores", std::to_string(usable_cores()) + " usable");
  line("memory", memory("MemTotal") + ", " + memory("MemAvailable") + " available" + memory_limit());
}

void print_isolation() {
  const std::string alone = why_no_memory_group();
  line("limits", alone.empty() ? "memory_limit_gib holds for all processes of a stage together (a control group)"
                               : "memory_limit_gib holds for each process of a stage, for there is no control group: " + alone);
  const std::string why = why_no_network_limit();
  line("network", why.empty() ? "kept from plugins (docs/reliability.md)"
                              : "plugins have it, for this machine allows no namespaces: " + why);
}

void print_torch() {
  line("torch", std::string(TORCH_VERSION) + ", " + std::to_string(at::get_num_threads()) + " threads inside an operation");
  std::string why;
  if (load_cuda(&why)) {
    line("cuda", "ready: --device cuda works");
  } else {
    const std::string library = why_no_cuda_library();
    const std::string also = library.empty() ? "; libtorch's CUDA half is installed and loads" : "; " + library;
    line("cuda", why + (library == why ? "" : also));
  }
  const std::string& other = other_accelerator();
  if (!other.empty()) line("accelerator", "ready: --device " + other + " works, of HOLDFAST_ACCELERATOR");
}

void print_plugins(const PluginHost& host) {
  line("plugins", std::to_string(host.loaded().size()) + " loaded, " + std::to_string(host.refused().size()) + " refused");
  for (const auto& loaded : host.loaded()) line("", loaded.name + "  " + loaded.path.string());
  for (const auto& refused : host.refused()) line("", "refused: " + refused.reason);
}

void print_organism() {
  const fs::path folder = share_folder() / "organism";
  const bool there = fs::exists(folder / "model.safetensors");
  line("organism",
       there ? folder.string() : "its base model is missing from " + folder.string() + ": build the target holdfast again");
}

double size_of(const fs::path& folder) {
  double bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied)) {
    std::error_code gone;
    if (entry.is_regular_file(gone)) bytes += static_cast<double>(entry.file_size(gone));
  }
  return bytes;
}

void print_store(const fs::path& store) {
  if (!fs::is_directory(store)) return line("store", store.string() + ": not there yet, the first run makes it");
  const std::string writable = ::access(store.c_str(), W_OK) == 0 ? "" : ", not writable: give another with --store";
  line("store", store.string() + ": " + gib(size_of(store)) + ", " + gib(static_cast<double>(fs::space(store).available)) +
                    " free on its disk" + writable);
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto* verb = app.add_subcommand("doctor", "Say what this machine can do and which plugins were refused");
  const auto store = std::make_shared<std::string>("results/.store");
  verb->add_option("--store", *store, "The artifact store to look at")->type_name("DIR")->capture_default_str();
  verb->callback([store, &app] {
    line("holdfast", kHoldfastVersion);
    print_machine();
    print_isolation();
    print_torch();
    print_plugins(load_plugins(app));
    print_organism();
    print_store(*store);
  });
}

}  // namespace holdfast::cli
