// The energy that this machine's own counters tell of, for the account of a stage. What it does not tell is not known; it is
// never 0.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/file.h"

namespace holdfast {

/// Where Linux tells what processors use and did.
struct ProcessorFiles {
  fs::path powercap = "/sys/class/powercap";
  fs::path stat = "/proc/stat";
};

/// What the processors used since this was made, by their packages' counters (RAPL).
class ProcessorEnergy {
 public:
  explicit ProcessorEnergy(ProcessorFiles files = {});
  ~ProcessorEnergy();
  ProcessorEnergy(const ProcessorEnergy&) = delete;
  ProcessorEnergy& operator=(const ProcessorEnergy&) = delete;

  /// Adds what the counters went on by. A thread does so often enough that none begins anew twice in between.
  void look();
  /// The share of someone who was computing for `cpu_seconds` of the seconds that all processors were. None where a counter
  /// cannot be read, or nobody computed.
  std::optional<double> joules(double cpu_seconds);

 private:
  struct Counter {
    fs::path file;
    std::uint64_t range = 0, last = 0;  // in microjoules; it goes on from 0 behind its range
  };

  void look_on();

  ProcessorFiles files_;
  std::map<std::string, Counter> packages_;  // by their names: two drivers may tell of one
  std::optional<double> busy_;               // seconds of all processors, when this was made
  double microjoules_ = 0;
  bool known_ = true;  // no counter was lost
  std::mutex mutex_;
  std::condition_variable over_;
  bool ended_ = false;
  std::thread looking_;
};

/// The libraries of the driver, loaded when they are there.
struct DriverLibraries {
  std::string cuda = "libcuda.so.1";
  std::string management = "libnvidia-ml.so.1";
};

/// What one accelerator used since this was made, whoever used it. None of one that is divided among several (MIG).
class DeviceEnergy {
 public:
  /// `index` as torch counts; below 0 the first.
  explicit DeviceEnergy(int index, const DriverLibraries& libraries = {});

  std::optional<double> joules() const;

 private:
  std::optional<double> counter() const;  // joules so far

  void* device_ = nullptr;  // of the management library
  int (*total_)(void*, unsigned long long*) = nullptr;
  std::optional<double> start_;
};

}  // namespace holdfast
