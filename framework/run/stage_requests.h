// What a worker is told to do.
#pragma once

#include <vector>

#include "run/stage_graph.h"
#include "work/stages.h"

namespace holdfast {

/// The request of a node whose inputs are done.
StageRequest stage_request(const Plan& plan, const StageGraph& graph, std::size_t node);

}  // namespace holdfast
