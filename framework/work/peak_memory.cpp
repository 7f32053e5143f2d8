#include "work/peak_memory.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>

#include "learn/device.h"

namespace holdfast {
namespace {

// Calls with the allocator of each accelerator and each of its numbers.
void each_device(const std::function<void(c10::DeviceAllocator&, c10::DeviceIndex)>& visit) {
  for (const auto type : loaded_accelerators()) {
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(type));
    if (allocator == nullptr || !allocator->initialized()) continue;
    const int devices = device_count(type);
    for (int index = 0; index < devices; ++index) visit(*allocator, static_cast<c10::DeviceIndex>(index));
  }
}

}  // namespace

void reset_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";  // of the resident set
  each_device([](c10::DeviceAllocator& allocator, c10::DeviceIndex index) { allocator.resetPeakStats(index); });
}

PeakMemory peak_memory() {
  PeakMemory peak;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    status >> peak.main;  // in KiB
    peak.main *= 1024;
    break;
  }
  each_device([&](c10::DeviceAllocator& allocator, c10::DeviceIndex index) {
    const auto stats = allocator.getDeviceStats(index);
    peak.device =
        std::max(peak.device, stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak);
  });
  return peak;
}

}  // namespace holdfast
