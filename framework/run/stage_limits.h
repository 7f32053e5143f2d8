// What the processes are told that run a scenario's stages, here or elsewhere.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// As the scenario says; goes with each posting of a queue.
struct StageLimits {
  std::int64_t threads = 0;               // 0: as many as the worker may use
  double stage_timeout = 7200;            // seconds
  double memory_limit_gib = 0;            // 0: none
  double file_limit_gib = 0;              // 0: none
  bool network = false;                   // for all stages; else for those whose settings name a URL
  std::vector<std::string> devices = {};  // that its models ask for

  bool operator==(const StageLimits&) const = default;
};
Json to_json(const StageLimits& limits);
StageLimits stage_limits_from_json(const Json& json);

}  // namespace holdfast
