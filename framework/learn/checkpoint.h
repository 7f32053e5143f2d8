// From a model's name or path to a model in memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "learn/language_model.h"

namespace holdfast {

struct LoadOptions {
  std::string device = "cpu";     // "cpu", "cuda", "cuda:N", "cuda:A-B", "auto"
  std::string dtype = "default";  // "float32", "bfloat16", "float16"; default: float32 on CPU, bfloat16 on CUDA
};

/// What a user may name: "organism" (built in), a Hugging Face folder, a GGUF file, or a PEFT adapter folder that names its
/// base, which may be an adapter folder too. Throws Error with what is missing or wrong.
std::unique_ptr<LanguageModel> load_model(const std::string& source, const LoadOptions& options);

/// The same around weights that were read before, in one device and dtype and with adapters merged; not for an adapter folder.
std::unique_ptr<LanguageModel> load_model_around(const std::string& source, NamedTensors weights);

/// Every file that load_model would read, the base of an adapter first. Throws Error when one is missing.
std::vector<fs::path> checkpoint_files(const std::string& source);

/// SHA-256 over the content of those files and the way in which they are read. Each file is read once while it stays the same
/// (remembered_sha256), whichever process of the user's asks.
std::string checkpoint_digest(const std::string& source);

/// Bytes of those files, which estimates of time grow with; of a guess where they are not there, as a gated model's may be.
std::uint64_t checkpoint_bytes(const std::string& source);

/// Part of every digest: how files become a model. Whoever changes that raises it, so that what was computed before no longer
/// matches.
constexpr int kReadingRevision = 2;

/// Whether a user names an adapter folder.
bool is_adapter(const std::string& source);

/// The path behind a source: that of the built-in organism, or the source itself. Throws Error when nothing is there.
fs::path checkpoint_path(const std::string& source);

}  // namespace holdfast
