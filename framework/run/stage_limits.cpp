#include "run/stage_limits.h"

namespace holdfast {

Json to_json(const StageLimits& limits) {
  return {{"threads", limits.threads},
          {"stage_timeout", limits.stage_timeout},
          {"memory_limit_gib", limits.memory_limit_gib},
          {"file_limit_gib", limits.file_limit_gib},
          {"network", limits.network},
          {"devices", limits.devices}};
}

StageLimits stage_limits_from_json(const Json& json) {
  return {json.at("threads").get<std::int64_t>(),
          json.at("stage_timeout").get<double>(),
          json.at("memory_limit_gib").get<double>(),
          json.at("file_limit_gib").get<double>(),
          json.at("network").get<bool>(),
          json.at("devices").get<std::vector<std::string>>()};
}

}  // namespace holdfast
