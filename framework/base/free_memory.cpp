#include "base/free_memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace holdfast {
namespace {

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

// The number of KiB behind a name, as bytes.
std::uint64_t kib_of(const char* file, const std::string& name) {
  std::ifstream lines(file);
  std::string found;
  for (std::uint64_t kib = 0; lines >> found; lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (found == name && lines >> kib) return kib * 1024;
  }
  return kUnknown;
}

}  // namespace

std::uint64_t free_memory() {
  rlimit limit{};
  std::uint64_t allowed = kUnknown;
  if (::getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const std::uint64_t used = kib_of("/proc/self/status", "VmData:");
    allowed = used < limit.rlim_cur ? limit.rlim_cur - used : 0;
  }
  return std::min(allowed, kib_of("/proc/meminfo", "MemAvailable:"));
}

}  // namespace holdfast
