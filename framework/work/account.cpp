#include "work/account.h"

#include <sys/resource.h>

#include <cmath>

#include "base/seconds_since.h"
#include "model/flops.h"
#include "work/peak_memory.h"

namespace holdfast {
namespace {

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

// Of all threads of this process.
double cpu_seconds() {
  rusage used = {};
  ::getrusage(RUSAGE_SELF, &used);
  return seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
}

}  // namespace

Account::Account() : cpu_seconds_(cpu_seconds()), flops_(flops_so_far()) { reset_peak_memory(); }

void Account::holds(at::Device device) {
  if (device.is_cpu() || device_start_) return;
  device_start_ = Clock::now();
  if (device.is_cuda()) device_.emplace(device.index());
}

void Account::close(Json& cost) {
  const Passes passes = passes_so_far();
  const PeakMemory peak = peak_memory();
  const double cpu = cpu_seconds() - cpu_seconds_;
  cost["seconds"] = seconds_since(start_);
  cost["cpu_seconds"] = cpu;
  if (device_start_) cost["device_seconds"] = seconds_since(*device_start_);
  cost["forward_tokens"] = std::llround(passes.forward_tokens - passes_.forward_tokens);
  cost["backward_tokens"] = std::llround(passes.backward_tokens - passes_.backward_tokens);
  if (!elsewhere_) cost["flops"] = flops_so_far() - flops_;
  cost["peak_memory"] = peak.main;
  if (peak.device > 0) cost["peak_device_memory"] = peak.device;
  if (elsewhere_) return;
  const auto processors = processors_.joules(cpu);
  const auto device = device_ ? device_->joules() : std::nullopt;
  if (processors) cost["processor_joules"] = *processors;
  if (device) cost["device_joules"] = *device;
  // An accelerator's is most of a stage's energy: without it the rest would look like the whole.
  if (device || (processors && !device_start_)) cost["energy_joules"] = processors.value_or(0) + device.value_or(0);
}

}  // namespace holdfast
