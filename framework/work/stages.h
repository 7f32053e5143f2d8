// Running one stage: from a request, all by value, to an artifact in the store.
#pragma once

#include <string>

#include "base/json.h"
#include "store/store.h"
#include "work/weight_cache.h"

namespace holdfast {

struct ArtifactRef {
  StageKind kind;
  std::string key;
};

struct StageRequest {
  StageKind kind = StageKind::kAlign;
  std::string key;
  Json document;                              // of the key
  Json task;                                  // PlanNode::task
  std::map<std::string, ArtifactRef> inputs;  // by role, those that are files
  std::map<std::string, WeightsRef> weights;  // by role: "weights", "aligned"
};

Json to_json(const StageRequest& request);
StageRequest stage_request_from_json(const Json& json);

/// What a worker keeps between stages.
struct StageTools {
  Store& store;
  WeightCache& weights;
};

/// Runs the stage and stores its artifact. Throws whatever the stage throws, and CorruptArtifact for a damaged input.
Manifest run_stage(const StageRequest& request, StageTools& tools);

}  // namespace holdfast
