// A request for a fine-tuning job as Together's client says it (field names and defaults of together 3.1.1).
#pragma once

#include "service/job_request.h"

namespace holdfast {

/// The body of POST /v1/fine-tunes. Its learning rate is absolute; "max" as batch size leaves it to the scenario. Throws
/// ApiError.
JobRequest together_request(const Json& body);

/// What is estimated before a job: the body of POST /v1/fine-tunes/estimate-price. Throws ApiError.
JobRequest together_estimate(const Json& body);

}  // namespace holdfast
