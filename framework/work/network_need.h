// Which work may reach the network.
#pragma once

#include "work/stage_request.h"

namespace holdfast {

/// Whether a setting of the stage names a URL: whoever names one wants it asked.
bool needs_network(const StageRequest& request);

}  // namespace holdfast
