// GGUF files built in memory.
#pragma once

#include <string>
#include <vector>

#include "model/hostile_file.h"

namespace holdfast {

constexpr std::uint32_t kF32 = 0, kUint32Value = 4;

inline std::string text(const std::string& value) { return bytes_of<std::uint64_t>(value.size()) + value; }

inline std::string pair_of(const std::string& key, std::uint32_t type, const std::string& value) {
  return text(key) + bytes_of(type) + value;
}

inline std::string tensor_info(const std::string& name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                               std::uint64_t offset) {
  std::string info = text(name) + bytes_of<std::uint32_t>(static_cast<std::uint32_t>(shape.size()));
  for (const auto size : shape) info += bytes_of(size);
  return info + bytes_of(type) + bytes_of(offset);
}

struct Parts {
  std::vector<std::string> pairs;
  std::vector<std::string> tensors;
  std::string data;
  std::uint32_t version = 3;
  std::size_t alignment = 32;
};

inline std::string file_of(const Parts& parts) {
  std::string bytes = "GGUF" + bytes_of(parts.version) + bytes_of<std::uint64_t>(parts.tensors.size()) +
                      bytes_of<std::uint64_t>(parts.pairs.size());
  for (const auto& pair : parts.pairs) bytes += pair;
  for (const auto& tensor : parts.tensors) bytes += tensor;
  bytes.resize((bytes.size() + parts.alignment - 1) / parts.alignment * parts.alignment, '\0');
  return bytes + parts.data;
}

}  // namespace holdfast
