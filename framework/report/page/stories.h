// What the page tells of each cell when it is asked: figures of every seed, stages with their costs, curves, samples.
#pragma once

#include "base/json.h"
#include "report/effects.h"
#include "report/model_cells.h"
#include "report/page/page.h"

namespace holdfast {

/// Of one board, as story.js reads it. `effects`: all_effects of the board. `samples` counts what it puts in.
Json stories(const ModelCells& cells, const std::vector<DefenseEffect>& effects, const PageSamples& wanted,
             EmbeddedSamples& samples);

}  // namespace holdfast
