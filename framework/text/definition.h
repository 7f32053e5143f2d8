// One part of a tokenizer.json, read with errors that name the file and the place in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace holdfast {

class Definition {
 public:
  Definition(const Json& json, std::string source, std::string place = "");

  /// Whether the key is there with a value other than null.
  bool has(const std::string& key) const;
  /// The value of a key that must be there.
  Definition at(const std::string& key) const;
  std::vector<Definition> items(const std::string& key) const;

  std::string string(const std::string& key) const;
  std::string string(const std::string& key, const std::string& otherwise) const;
  bool boolean(const std::string& key, bool otherwise) const;
  std::int64_t integer(const std::string& key) const;
  /// The single character of a string.
  std::string character(const std::string& key) const;
  std::string type() const { return string("type"); }

  std::string as_string() const;
  const Json& json() const { return *json_; }
  /// A part inside this one; throws when parts are nested deeper than any tokenizer needs.
  Definition nested(const Json& json, const std::string& place) const;

  [[noreturn]] void fail(const std::string& sentence) const;
  /// "tokenizer.json: tokenizer model type "Unigram" is not supported; supported: BPE, WordLevel"
  [[noreturn]] void unsupported(std::string_view kind, std::string_view supported) const;

 private:
  const Json& member(const std::string& key) const;

  const Json* json_;
  std::string source_;
  std::string place_;
  int depth_ = 0;
};

}  // namespace holdfast
