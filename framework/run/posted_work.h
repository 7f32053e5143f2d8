// What a posting of a queue holds, and how it ended: written by a run, read by workers, and back.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "run/stage_limits.h"
#include "run/workers.h"

namespace holdfast {

/// Stages that run together, one or several.
Posting posting_of(const std::vector<StageRequest>& stages, const StageLimits& limits);

struct PostedWork {
  std::vector<StageRequest> stages;
  StageLimits limits;
};
/// The stages run under the lease.
PostedWork posted_work(const Lease& lease);
/// The keys of its stages.
std::vector<std::string> posted_keys(const Json& work);

/// How stages ended, by their keys.
Json to_json(const std::map<std::string, StageEnd>& ends);
std::map<std::string, StageEnd> stage_ends_from_json(const Json& json);

}  // namespace holdfast
