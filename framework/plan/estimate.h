// How long stages take: from what like stages took before, else from the size of the model.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"
#include "store/store_index.h"

namespace holdfast {

/// Seconds of each node of the plan.
std::vector<double> estimate_seconds(const Plan& plan, const Scenario& scenario, const StoreIndex& index);

/// GiB of memory that each node of the plan is expected to take, where it runs alone.
std::vector<double> estimate_gib(const Plan& plan, const Scenario& scenario);

/// Seconds until `to_run` are done with that many workers: the work shared out, but never less than the longest chain.
double estimate_total(const Plan& plan, const std::vector<double>& seconds, const std::vector<bool>& to_run,
                      std::int64_t workers);

/// Each node's longest way to the end, itself included.
std::vector<double> critical_paths(const Plan& plan, const std::vector<double>& seconds);

}  // namespace holdfast
