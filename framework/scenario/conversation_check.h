// Whether the models of a scenario can be asked what it asks, found out before anything is computed.
#pragma once

#include <string>
#include <vector>

#include "scenario/scenario.h"

namespace holdfast {

/// Renders every probe, as each attack asks it and with an answer, by each model's chat template. A sentence for each model
/// whose template takes no system turn where an attack or a probe brings one: what is done instead. Throws one Error with a
/// line for each model and attack that the model's template cannot take, in the template's own words, and for a model without a
/// template. Models that are missing are passed over.
std::vector<std::string> check_conversations(const Scenario& scenario);

}  // namespace holdfast
