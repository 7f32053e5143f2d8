// From what a customer asks for to what is tuned.
#pragma once

#include "service/desk.h"
#include "service/job_request.h"

namespace holdfast {

/// Checks it against what is on offer, the customer's files and his limits, and estimates what it costs. What the request
/// leaves open is the scenario's [finetune]; its first seed, so that equal jobs are the same stages. Throws ApiError.
PlannedJob plan_job(Desk& desk, const Customer& customer, const JobRequest& request);

/// Tokens that the job would train, screening apart. Throws ApiError where they cannot be counted yet.
std::int64_t tokens_to_train(Desk& desk, const PlannedJob& job);

}  // namespace holdfast
