// Running one stage: from a request to an artifact in the store.
#pragma once

#include "store/store.h"
#include "work/stage_request.h"
#include "work/weight_cache.h"

namespace holdfast {

/// What a screen stage reports that a moderator is asked through: the share of its rows that come out as they went in.
inline constexpr const char* kPasses = "passes";

/// What a worker keeps between stages.
struct StageTools {
  Store& store;
  WeightCache& weights;
};

/// Runs the stage and stores its artifact. Throws whatever the stage throws, and CorruptArtifact for a damaged input.
Manifest run_stage(const StageRequest& request, StageTools& tools);

}  // namespace holdfast
