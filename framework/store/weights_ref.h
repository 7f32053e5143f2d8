// Weights by value: where they start, and the artifacts on top.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "store/stage_kind.h"

namespace holdfast {

/// One step from a parent's weights to a child's.
struct WeightsLink {
  StageKind kind;
  std::string key;
  std::string digest;  // content digest of the child's weights
};

/// Weights by value: a checkpoint, and the changes on top of it.
struct WeightsRef {
  std::string source, device, dtype;
  std::string base;  // checkpoint digest
  std::vector<WeightsLink> chain;

  const std::string& digest() const { return chain.empty() ? base : chain.back().digest; }
};

Json to_json(const WeightsRef& weights);
WeightsRef weights_ref_from_json(const Json& json);

}  // namespace holdfast
