// What a worker is told to do.
#pragma once

#include <vector>

#include "run/stage_graph.h"
#include "work/stages.h"

namespace holdfast {

/// The request of a node whose inputs are done, `outcomes` being those of all nodes.
StageRequest stage_request(const Plan& plan, const std::vector<NodeOutcome>& outcomes, std::size_t node);

}  // namespace holdfast
