// The name of an artifact: the digest of everything that decides its content.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "store/store.h"

namespace holdfast {

struct StageKey {
  Json document;    // kind, revision, what the stage is made of, and its inputs' content digests
  std::string key;  // SHA-256 of the document
};

/// `inputs`: the content digest of each of the node's inputs, in their order.
StageKey stage_key(const PlanNode& node, const std::vector<std::string>& inputs);

/// What the store already has of a plan: one entry a node, empty where the stage is still to run or its inputs are unknown.
struct Resolved {
  std::string key;
  std::optional<Manifest> manifest;
};
std::vector<Resolved> resolve(const Plan& plan, Store& store);

}  // namespace holdfast
