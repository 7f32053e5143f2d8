// Running one stage: from a request to an artifact in the store.
#pragma once

#include <exception>
#include <optional>
#include <vector>

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

struct StageResult {
  std::optional<Manifest> stored;
  std::exception_ptr error;  // an Error or CorruptArtifact, where nothing is stored
};

/// Runs stages together and stores their artifacts, each for itself; what they cost together is divided among them. Several are
/// a gang: fine-tunings or replies of like shape. What is neither Error nor CorruptArtifact is thrown, and nothing is stored.
std::vector<StageResult> run_stages(const std::vector<StageRequest>& requests, StageTools& tools);

}  // namespace holdfast
