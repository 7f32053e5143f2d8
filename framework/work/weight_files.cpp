#include "work/weight_files.h"

#include <holdfast/error.h>

#include <utility>

#include "learn/checkpoint.h"
#include "learn/device.h"

namespace holdfast {
namespace {

std::string dtype_of(const WeightsRef& weights) {
  return dtype_name(resolve_dtype(weights.dtype, resolve_device(weights.device)));
}

}  // namespace

bool WeightFiles::shared(const WeightsRef& weights) const {
  if (least_ == 0 || !resolve_device(weights.device).is_cpu()) return false;
  return weights.chain.empty() || weights.chain.back().kind == StageKind::kAlign ||
         weights.chain.back().kind == StageKind::kPretrain;
}

std::shared_ptr<LanguageModel> WeightFiles::checkpoint(const WeightsRef& weights) {
  WeightsRef alone = weights;
  alone.chain.clear();
  if (shared(alone) && !is_adapter(alone.source)) {
    if (auto mapped = files_.find(alone.base, dtype_of(alone))) return load_model_around(alone.source, std::move(*mapped));
  }
  std::shared_ptr<LanguageModel> model = load_model(alone.source, {alone.device, alone.dtype});
  model->decoder().merge_adapters();
  return settled(alone, std::move(model));
}

std::shared_ptr<LanguageModel> WeightFiles::find(const WeightsRef& weights, const LanguageModel& like) {
  if (!shared(weights)) return nullptr;
  auto mapped = files_.find(weights.digest(), dtype_of(weights));
  return mapped ? like.with_weights(std::move(*mapped), "the mapped weights") : nullptr;
}

std::shared_ptr<LanguageModel> WeightFiles::settled(const WeightsRef& weights, std::shared_ptr<LanguageModel> model) {
  const Decoder& decoder = std::as_const(*model).decoder();
  if (!shared(weights) || decoder.own_bytes() < least_) return model;
  HOLDFAST_CHECK(decoder.adapters().empty());
  auto mapped = files_.put(weights.digest(), dtype_of(weights), decoder.weights());
  return mapped ? model->with_weights(std::move(*mapped), "the mapped weights") : model;
}

}  // namespace holdfast
