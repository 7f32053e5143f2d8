// The decoder that a GGUF file holds, as a Hugging Face checkpoint would hold it.
#pragma once

#include "model/decoder.h"
#include "model/gguf.h"

namespace holdfast {

struct GgufDecoder {
  ModelConfig config;
  NamedTensors weights;  // by checkpoint name, in float32; a name that GGUF does not have stays as it is
};

/// Undoes what llama.cpp's converter does to tensors. Throws Error naming `source` for an architecture, a feature or a tensor
/// that is not supported.
GgufDecoder read_gguf_decoder(const GgufFile& file, const std::string& source);

/// Its configuration alone, for weights that were read before.
ModelConfig read_gguf_config(const GgufFile& file, const std::string& source);

}  // namespace holdfast
