#include "work/energy.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <sstream>

namespace holdfast {
namespace {

constexpr auto kBetweenLooks = std::chrono::seconds(30);  // counters of 262 kJ last four minutes at 1 kW

std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  if (stream >> number) return number;
  return std::nullopt;
}

std::string word_in(const fs::path& file) {
  std::ifstream stream(file);
  std::string word;
  stream >> word;
  return word;
}

// Seconds of all processors together in which they computed, of the first line: "cpu", then user, nice, system, idle, iowait,
// irq, softirq, steal. What was stolen others computed.
std::optional<double> busy_seconds(const fs::path& stat) {
  std::ifstream stream(stat);
  std::string name;
  std::array<double, 7> ticks{};
  stream >> name;
  for (auto& each : ticks) stream >> each;
  if (!stream || name != "cpu") return std::nullopt;
  const auto [user, nice, system, idle, waiting, irq, softirq] = ticks;
  return (user + nice + system + irq + softirq) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

template <typename Function>
bool find(void* library, const char* name, Function*& found) {
  found = library == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library, name));
  return found != nullptr;
}

// Where the bus has the device that torch and the driver call by this number, which is one of those that are visible.
std::string bus_address(const std::string& driver, int index) {
  void* const library = ::dlopen(driver.c_str(), RTLD_NOW | RTLD_LOCAL);
  int (*begin)(unsigned) = nullptr, (*get)(int*, int) = nullptr, (*address_of)(char*, int, int) = nullptr;
  if (!find(library, "cuInit", begin) || !find(library, "cuDeviceGet", get) ||
      !find(library, "cuDeviceGetPCIBusId", address_of)) {
    return "";
  }
  int device = 0;
  std::array<char, 64> address{};
  if (begin(0) != 0 || get(&device, index) != 0 || address_of(address.data(), address.size(), device) != 0) return "";
  return address.data();
}

}  // namespace

ProcessorEnergy::ProcessorEnergy(ProcessorFiles files) : files_(std::move(files)), busy_(busy_seconds(files_.stat)) {
  std::error_code ignored;  // no such folder: no counters
  for (const auto& zone : fs::directory_iterator(files_.powercap, ignored)) {
    const std::string name = word_in(zone.path() / "name");
    if (!name.starts_with("package-")) continue;  // what a package consists of is counted in it
    const auto range = number_in(zone.path() / "max_energy_range_uj"), now = number_in(zone.path() / "energy_uj");
    known_ = known_ && range && now;
    if (range && now) packages_[name] = {zone.path() / "energy_uj", *range, *now};
  }
  if (known_ && busy_ && !packages_.empty()) looking_ = std::thread([this] { look_on(); });
}

ProcessorEnergy::~ProcessorEnergy() {
  if (!looking_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  over_.notify_all();
  looking_.join();
}

void ProcessorEnergy::look_on() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (over_.wait_for(lock, kBetweenLooks, [this] { return ended_; })) return;
    }
    look();
  }
}

void ProcessorEnergy::look() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, counter] : packages_) {
    const auto now = number_in(counter.file);
    known_ = known_ && now;
    if (!now) continue;
    microjoules_ += static_cast<double>(*now >= counter.last ? *now - counter.last : counter.range - counter.last + *now);
    counter.last = *now;
  }
}

std::optional<double> ProcessorEnergy::joules(double cpu_seconds) {
  const auto busy = busy_seconds(files_.stat);
  look();
  const std::lock_guard lock(mutex_);
  if (packages_.empty() || !known_ || !busy_ || !busy || cpu_seconds <= 0) return std::nullopt;
  // The kernel's figure of all processors is coarser than that of one process.
  return microjoules_ * 1e-6 * cpu_seconds / std::max(cpu_seconds, *busy - *busy_);
}

DeviceEnergy::DeviceEnergy(int index, const DriverLibraries& libraries) {
  const std::string address = bus_address(libraries.cuda, std::max(index, 0));
  void* const library = address.empty() ? nullptr : ::dlopen(libraries.management.c_str(), RTLD_NOW | RTLD_LOCAL);
  int (*begin)() = nullptr, (*find_device)(const char*, void**) = nullptr, (*divided)(void*, unsigned*, unsigned*) = nullptr;
  if (!find(library, "nvmlInit_v2", begin) || !find(library, "nvmlDeviceGetHandleByPciBusId_v2", find_device) ||
      !find(library, "nvmlDeviceGetTotalEnergyConsumption", total_)) {
    return;
  }
  void* device = nullptr;
  if (begin() != 0 || find_device(address.c_str(), &device) != 0) return;
  unsigned now = 0, later = 0;
  if (find(library, "nvmlDeviceGetMigMode", divided) && divided(device, &now, &later) == 0 && now != 0) return;
  device_ = device;
  start_ = counter();
}

std::optional<double> DeviceEnergy::counter() const {
  unsigned long long millijoules = 0;
  if (device_ == nullptr || total_(device_, &millijoules) != 0) return std::nullopt;
  return static_cast<double>(millijoules) * 1e-3;
}

std::optional<double> DeviceEnergy::joules() const {
  const auto now = counter();
  if (!start_ || !now) return std::nullopt;
  return *now - *start_;
}

}  // namespace holdfast
