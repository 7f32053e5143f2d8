// The safetensors format: u64 header length, JSON header, raw little-endian data.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace holdfast {

/// Tensors by name, plus the file's string metadata.
struct TensorFile {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Maps the file and returns tensors that point into the mapping (model/mapped_tensor.h). F32, F16, BF16, I64. Every size and
/// offset is checked before use: throws Error for a truncated file, a header that lies (offsets outside the file, overlapping
/// or with gaps, shape x dtype unlike the byte range, overflow, duplicate names).
TensorFile read_safetensors(const std::filesystem::path& path);

/// Writes the tensors, the widest types first and then in name order, with the data aligned to 8 bytes, to a temporary name,
/// synced and renamed. The same tensors give the same bytes.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace holdfast
