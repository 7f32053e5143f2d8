// From a model's name or path to a model in memory, and back to files that transformers and peft open.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "learn/language_model.h"

namespace holdfast {

struct LoadOptions {
  std::string device = "cpu";     // "cpu", "cuda", "cuda:N", "auto"
  std::string dtype = "default";  // "float32", "bfloat16", "float16"; default: float32 on CPU, bfloat16 on CUDA
};

/// What a user may name: "organism" (built in), a Hugging Face folder, a GGUF file, or a PEFT adapter folder that names its
/// base. Throws Error with what is missing or wrong.
std::unique_ptr<LanguageModel> load_model(const std::string& source, const LoadOptions& options);

/// SHA-256 over the content of every file that load_model would read. Cheap on a second call: (path, size, mtime) are
/// remembered by the process.
std::string checkpoint_digest(const std::string& source);

/// A Hugging Face folder: config.json, model.safetensors, tokenizer and chat template. Adapters are merged into the weights.
void save_checkpoint(const LanguageModel& model, const fs::path& folder);

/// A PEFT folder: adapter_config.json, which names `base`, and adapter_model.safetensors. The model must carry adapters.
void save_adapter(const LanguageModel& model, const std::string& base, const fs::path& folder);

}  // namespace holdfast
