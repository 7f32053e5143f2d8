#include "work/export_weights.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include "learn/checkpoint.h"
#include "learn/device.h"
#include "learn/export.h"
#include "learn/weight_change.h"
#include "store/stored_weights.h"
#include "work/weight_cache.h"

namespace holdfast {
namespace {

void check_checkpoint(const WeightsRef& weights) {
  if (weights.source != "organism" && !fs::exists(weights.source)) {
    throw Error("the checkpoint that these weights stand on is not at \"" + weights.source +
                "\": name where it lies now with --model");
  }
  const std::string found = checkpoint_digest(weights.source);
  if (found == weights.base) return;
  throw Error("\"" + weights.source + "\" is not the checkpoint that these weights were made on: its digest is " +
              found.substr(0, 12) + "..., expected " + weights.base.substr(0, 12) +
              "...; it was changed since, or --model names another one");
}

// A difference is added alike everywhere; a product of factors may round otherwise.
WeightsRef on_this_machine(WeightsRef weights) {
  if (has_device(weights.device)) return weights;
  log_warning("these weights were made on " + weights.device +
              ", which this machine lacks: where LoRA factors are merged on the CPU, last bits may differ");
  weights.device = "cpu";
  if (weights.dtype == "default") weights.dtype = "bfloat16";  // as it is on accelerators
  return weights;
}

fs::path last_change(Store& store, const WeightsRef& weights) {
  const WeightsLink& last = weights.chain.back();
  return store.file(last.kind, last.key, kChangeFile);
}

WeightsRef without_last_change(WeightsRef weights) {
  weights.chain.pop_back();
  return weights;
}

void write_adapter(const LanguageModel& model, const WeightsRef& parent, const fs::path& folder) {
  if (parent.chain.empty()) {
    save_adapter(model, adapter_base_for(model, parent.source, folder), folder);
    return;
  }
  const fs::path base = fs::absolute(folder / "base").lexically_normal();
  save_base(model, base);
  save_adapter(model, base.string(), folder);
}

bool write(Store& store, const WeightsRef& weights, ExportForm form, const fs::path& folder) {
  WeightCache cache(store);
  if (form != ExportForm::kMerged && !weights.chain.empty()) {
    const WeightsRef parent = without_last_change(weights);
    const auto model = cache.get(parent)->merged();
    if (put_adapters(*model, last_change(store, weights))) {
      check_export_folder(folder, true);
      write_adapter(*model, parent, folder);
      return true;
    }
  }
  if (form == ExportForm::kAdapter) {
    throw Error("the last change of these weights is no LoRA adapter: leave --form out, or give --form merged");
  }
  check_export_folder(folder, false);
  save_checkpoint(*cache.get(weights), folder);
  return false;
}

}  // namespace

bool export_weights(Store& store, const WeightsRef& weights, ExportForm form, const fs::path& folder) {
  check_checkpoint(weights);
  if (fs::exists(folder)) refuse_folder_of(weights.source, folder);
  try {
    return write(store, on_this_machine(weights), form, folder);
  } catch (const CorruptArtifact& corrupt) {
    throw Error("a stored file is damaged (" + std::string(corrupt.what()) +
                "): " + how_to_make_again(store, corrupt.kind, corrupt.key));
  }
}

}  // namespace holdfast
