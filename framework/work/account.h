// What a stage cost, from when it began (docs/cost.md).
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/json.h"
#include "model/passes.h"
#include "work/energy.h"

namespace holdfast {

class Account {
 public:
  Account();

  /// The stage got a model that lives there. One on an accelerator is held from then on until the account is closed.
  void holds(at::Device device);

  /// A provider computes for the stage: its FLOPs and its energy are not known.
  void computes_elsewhere() { elsewhere_ = true; }

  /// Adds the figures: "seconds", "flops", ... One that this machine does not tell is left out.
  void close(Json& cost);

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point start_ = Clock::now();
  double cpu_seconds_;  // of this process so far
  Passes passes_ = passes_so_far();
  std::uint64_t flops_;
  bool elsewhere_ = false;
  std::optional<Clock::time_point> device_start_;
  ProcessorEnergy processors_;
  std::optional<DeviceEnergy> device_;
};

}  // namespace holdfast
