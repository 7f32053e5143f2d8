// GGUF models that llama-gguf-split cut into several files: NAME-00001-of-00003.gguf and so on.
#pragma once

#include "model/gguf.h"

namespace holdfast {

/// The files of the model that begins in `path`: itself, or all parts when its name is that of a first part. Throws Error for a
/// later part, and for a part that is not there.
std::vector<fs::path> gguf_files(const fs::path& path);

/// The metadata of the first file and the tensors of all. Throws Error for parts that are not of one model.
GgufFile read_gguf(const fs::path& path);

}  // namespace holdfast
