#include "work/keyed_inputs.h"

#include "base/keyed_files.h"
#include "learn/checkpoint.h"

namespace holdfast {
namespace {

void check_unchanged(const WeightsRef& weights) {
  if (checkpoint_digest(weights.source) != weights.base) throw InputChanged(weights.source);
}

}  // namespace

void check_inputs(const StageRequest& request) {
  check_files(request.task);
  for (const auto& [role, weights] : request.weights) check_unchanged(weights);
  if (request.task.contains("judge_model")) check_unchanged(weights_ref_from_json(request.task.at("judge_model")));
}

}  // namespace holdfast
