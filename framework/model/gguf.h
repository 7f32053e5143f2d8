// The GGUF format, versions 2 and 3: metadata and (quantised) tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// A mapped GGUF file. The header is checked whole on construction: throws Error for a wrong magic or version, truncation,
/// counts or offsets outside the file, overflow, duplicate keys or tensor names.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  /// Metadata as JSON values (arrays of strings or numbers included), by key.
  const std::map<std::string, Json>& metadata() const { return metadata_; }
  std::vector<std::string> tensor_names() const;
  /// Adds the tensors of another part of the same model. Throws Error for a name that both have.
  void take_tensors(const GgufFile& other);
  /// Row-major shape, outermost first (the reverse of the file's order). Throws Error for an unknown name.
  std::vector<std::int64_t> shape(const std::string& name) const;
  /// The tensor in float32, dequantised with ggml (F32, F16, BF16, Q8_0, Q4_0, Q4_1 and every other type ggml knows).
  at::Tensor tensor(const std::string& name) const;

 private:
  struct Entry {
    std::vector<std::int64_t> shape;
    std::uint32_t type;
    std::uint64_t offset;  // from the start of the file
    std::uint64_t bytes;
    std::shared_ptr<MappedFile> file;
  };
  const Entry& entry(const std::string& name) const;
  void place_tensors(std::uint64_t header_end, std::uint64_t alignment);

  std::shared_ptr<MappedFile> file_;
  std::map<std::string, Json> metadata_;
  std::map<std::string, Entry> entries_;
};

}  // namespace holdfast
