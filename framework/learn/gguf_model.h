// GGUF files as checkpoints.
#pragma once

#include <memory>

#include "learn/side_files.h"

namespace holdfast {

struct GgufModel {
  std::shared_ptr<Decoder> decoder;
  FilesBeside files;  // as a Hugging Face folder of the model would have them
};

/// Tokenizer, chat template and settings of generation alone.
FilesBeside gguf_files_beside(const fs::path& path);

/// What the file, or the first of its parts, holds, spread over the devices. A key that is missing means what it means to
/// llama.cpp (docs/models.md).
GgufModel read_gguf_model(const fs::path& path, const std::vector<c10::Device>& devices, c10::ScalarType dtype);
/// The same around weights that were read before, by checkpoint name.
GgufModel read_gguf_around(const fs::path& path, NamedTensors weights);

}  // namespace holdfast
