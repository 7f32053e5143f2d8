// What a worker is told of one stage, all by value.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "store/stage_kind.h"
#include "store/weights_ref.h"

namespace holdfast {

struct ArtifactRef {
  StageKind kind;
  std::string key;
};

/// What a stage is expected to take.
struct Estimate {
  double seconds = 0;
  double path = 0;  // seconds of the longest way to the end, itself included
  double gib = 0;   // of memory
};

/// The lease that its artifact is published under (queue/queue.h).
struct StageLease {
  fs::path folder;
  std::string worker;
  std::int64_t token = 0;
};

struct StageRequest {
  StageKind kind = StageKind::kAlign;
  std::string key;
  Json document;                              // of the key
  Json task;                                  // PlanNode::task
  std::map<std::string, ArtifactRef> inputs;  // by role, those that are files
  std::map<std::string, WeightsRef> weights;  // by role: "weights", "aligned", "base"
  Estimate estimate = {};                     // no part of what the worker process is told
  std::optional<StageLease> lease = {};       // under which it runs, where it was taken from a queue
};

Json to_json(const StageRequest& request);
StageRequest stage_request_from_json(const Json& json);

}  // namespace holdfast
