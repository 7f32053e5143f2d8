// The name of an artifact: the digest of everything that decides its content.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "store/store_index.h"

namespace holdfast {

struct StageKey {
  std::string text;  // canonical JSON: kind, revision, what the stage is made of, and its inputs' content digests
  std::string key;   // SHA-256 of the text

  Json document() const { return Json::parse(text); }
};

/// `inputs`: the content digest of each of the node's inputs, in their order.
StageKey stage_key(const PlanNode& node, const std::vector<std::string>& inputs);

/// What a store already has of a plan: one entry a node, without an artifact where the stage is still to run or its inputs are
/// unknown.
struct Resolved {
  std::string key;
  const StoredArtifact* artifact = nullptr;  // of the index
};
std::vector<Resolved> resolve(const Plan& plan, const StoreIndex& index);

}  // namespace holdfast
