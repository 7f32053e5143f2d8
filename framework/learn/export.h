// Models written as files that transformers and PEFT open.
#pragma once

#include <string>

#include "base/file.h"
#include "learn/language_model.h"

namespace holdfast {

/// A Hugging Face folder: config.json, model.safetensors, tokenizer and chat template. Adapters are merged into the weights;
/// files of another model's tokenizer that lay there are removed.
void save_checkpoint(const LanguageModel& model, const fs::path& folder);
/// The same of the model without its adapters.
void save_base(const LanguageModel& model, const fs::path& folder);

/// A PEFT folder: adapter_config.json, which names `base`, and adapter_model.safetensors. The model must carry adapters.
void save_adapter(const LanguageModel& model, const std::string& base, const fs::path& folder);

/// What an adapter on this model says its base is: an absolute path, so that the adapter opens from anywhere. PEFT opens no
/// GGUF file and no adapter as a base, so that of such a source the model's own weights are written to `<folder>/base`.
std::string adapter_base_for(const LanguageModel& model, const std::string& source, const fs::path& folder);

/// Throws Error when the folder holds a file of the model that `source` names.
void refuse_folder_of(const std::string& source, const fs::path& folder);

/// Throws Error when weights or settings lie in the folder beside which a whole model (or, with `adapter`, an adapter) would
/// open as something else than either.
void check_export_folder(const fs::path& folder, bool adapter);

}  // namespace holdfast
