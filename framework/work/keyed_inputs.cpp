#include "work/keyed_inputs.h"

#include "base/keyed_files.h"
#include "store/digest_memory.h"

namespace holdfast {
namespace {

void check_checkpoint(const WeightsRef& weights, DigestMemory& memory) {
  if (memory.checkpoint(weights.source) != weights.base) throw InputChanged(weights.source);
}

}  // namespace

void check_inputs(const StageRequest& request, const Store& store) {
  check_files(request.task);
  DigestMemory memory(store.root());
  for (const auto& [role, weights] : request.weights) check_checkpoint(weights, memory);
  if (!request.task.contains("judge_model")) return;
  check_checkpoint(weights_ref_from_json(request.task.at("judge_model")), memory);
}

}  // namespace holdfast
