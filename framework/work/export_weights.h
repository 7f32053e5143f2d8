// Weights of a store as a folder that other programs open.
#pragma once

#include "base/file.h"
#include "store/store.h"
#include "store/weights_ref.h"

namespace holdfast {

enum class ExportForm {
  kEither,   // an adapter where the last change is LoRA factors, else a whole model
  kMerged,   // a Hugging Face folder
  kAdapter,  // a PEFT folder
};

/// Writes the weights into the folder and says whether they are an adapter there. Its base is the checkpoint's own folder where
/// the adapter stands on that, and else written to `<folder>/base`. Read again, the folder gives these weights bit for bit; an
/// adapter does so once it is merged. Throws Error for a checkpoint that is not the one that the weights were made on, for an
/// adapter of what is none, for a folder that holds another model, and for a damaged file of the store.
bool export_weights(Store& store, const WeightsRef& weights, ExportForm form, const fs::path& folder);

}  // namespace holdfast
