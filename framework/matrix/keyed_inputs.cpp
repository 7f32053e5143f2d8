#include "matrix/keyed_inputs.h"

#include "base/remembered_digest.h"
#include "matrix/data_source.h"
#include "matrix/digest_memory.h"

namespace holdfast {
namespace {

void check_checkpoint(const WeightsRef& weights, DigestMemory& memory) {
  if (memory.checkpoint(weights.source) != weights.base) throw InputChanged(weights.source);
}

}  // namespace

InputChanged::InputChanged(const fs::path& path)
    : Error(path.string() + " changed while the matrix was running: start the run again") {}

void check_inputs(const Json& task) {
  if (task.is_object() && task.contains("location") && task.contains("digest")) {
    const auto location = task.at("location").get<std::string>();
    if (!is_builtin(location) && remembered_sha256(location) != task.at("digest")) throw InputChanged(location);
    return;
  }
  if (!task.is_structured()) return;
  for (const auto& part : task) check_inputs(part);
}

void check_inputs(const StageRequest& request, const Store& store) {
  check_inputs(request.task);
  DigestMemory memory(store.root());
  for (const auto& [role, weights] : request.weights) check_checkpoint(weights, memory);
  if (request.task.contains("judge_model")) check_checkpoint(weights_ref_from_json(request.task.at("judge_model")), memory);
}

}  // namespace holdfast
