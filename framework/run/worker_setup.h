// A scenario's worker processes on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/worker_process.h"
#include "scenario/scenario.h"

namespace holdfast {

/// Of all models that stages may load, each once.
std::vector<std::string> devices(const Scenario& scenario);

/// As the scenario says; `count` of them run beside each other, and what they print is read.
WorkerSetup worker_setup(const Scenario& scenario, const fs::path& program, const fs::path& store, std::int64_t count);

}  // namespace holdfast
