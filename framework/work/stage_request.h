// What a worker is told of one stage, all by value.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "store/stage_kind.h"
#include "store/weights_ref.h"

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
  std::map<std::string, WeightsRef> weights;  // by role: "weights", "aligned", "base"
};

Json to_json(const StageRequest& request);
StageRequest stage_request_from_json(const Json& json);

}  // namespace holdfast
