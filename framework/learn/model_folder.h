// Hugging Face folders: config.json and safetensors, in one file or several.
#pragma once

#include <memory>
#include <vector>

#include "base/file.h"
#include "model/decoder.h"

namespace holdfast {

/// Its weight files. Throws Error with what the folder holds instead when there are none to read.
std::vector<fs::path> weight_files(const fs::path& folder);

/// The decoder of a folder, spread over the devices and in one dtype. A head that is stored and differs from the embedding is
/// used, whatever "tie_word_embeddings" says (as in transformers 5.23). Throws Error for a tensor that is missing, unknown or
/// wrongly shaped.
std::shared_ptr<Decoder> folder_decoder(const fs::path& folder, const std::vector<c10::Device>& devices, c10::ScalarType dtype);
/// The same around weights that were read before.
std::shared_ptr<Decoder> folder_decoder_around(const fs::path& folder, NamedTensors weights);

}  // namespace holdfast
