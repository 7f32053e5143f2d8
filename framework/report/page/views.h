// What a board shows of one metric: the switch of the page exchanges these.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "report/effects.h"
#include "report/model_cells.h"
#include "report/ranking.h"

namespace holdfast {

struct MetricView {
  std::string metric;
  bool harm = false;  // else a figure beside the harm: a score, utility, refusals, coherence
  std::string html;
  Json charts = Json::array();  // of what the page lets take away: {"name", "svg", "vl.json"}
};

/// Those of the harm metrics first, in the order of harm_metrics. `effects`: all_effects of the board; `disqualified`: what its
/// audit found.
std::vector<MetricView> metric_views(const ModelCells& cells, const std::vector<DefenseEffect>& effects,
                                     const Disqualified& disqualified);

}  // namespace holdfast
