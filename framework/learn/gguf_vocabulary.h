// The tokenizer that a GGUF file's metadata hold.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace holdfast {

/// Metadata by key, each as the type that its reader wants. What they are made from must outlive this.
class GgufMetadata {
 public:
  GgufMetadata(const std::map<std::string, Json>& values, const std::string& source) : values_(values), source_(source) {}

  /// `fallback` where the key is absent. Throws Error naming the source and the key for a value of another type.
  template <typename T>
  T get(const std::string& key, T fallback) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return fallback;
    try {
      if (!loses_nothing<T>(found->second)) refuse(key);
      return found->second.get<T>();
    } catch (const Json::exception&) {
      refuse(key);
    }
  }
  /// A token's id, by its name behind "tokenizer.ggml.".
  std::optional<std::int64_t> id(const std::string& name, std::optional<std::int64_t> fallback = std::nullopt) const;
  const std::string& source() const { return source_; }

 private:
  // JSON turns any number into any other, which is not defined for one that is out of range.
  template <typename T>
  static bool loses_nothing(const Json& value) {
    if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) return holds_int32(value);
    if constexpr (std::is_same_v<T, std::int64_t>) return value.is_number_integer();
    return true;
  }
  static bool holds_int32(const Json& list);
  [[noreturn]] void refuse(const std::string& key) const;

  const std::map<std::string, Json>& values_;
  const std::string& source_;
};

/// What is absent is as llama.cpp has it.
GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata);

/// The tokens that end a reply. Throws Error for one that there is not.
std::vector<std::int64_t> gguf_stops(const GgufVocabulary& vocabulary, const GgufMetadata& metadata);

}  // namespace holdfast
