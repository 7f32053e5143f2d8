// PEFT LoRA folders, on a base that they name.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "model/decoder.h"

namespace holdfast {

bool is_adapter_folder(const fs::path& folder);

/// The base that the folder names: "organism", or a path, absolute or relative to the folder or to the current one. Throws
/// Error when it is not there.
std::string adapter_base(const fs::path& folder);

/// adapter_model.safetensors. Throws Error with what the folder holds instead.
fs::path adapter_weights(const fs::path& folder);

/// The base with the adapter's factors on it. What lies on the base already is merged into its weights, and so are factors of
/// the head and the embedding and tensors that were trained whole; a head that is tied in the base is then one of its own, as
/// in PEFT 0.21. Throws Error for a setting, a factor or a tensor that is not read, by name.
std::shared_ptr<Decoder> adapted(const std::shared_ptr<Decoder>& base, const fs::path& folder);

}  // namespace holdfast
