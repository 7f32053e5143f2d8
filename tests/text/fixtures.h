// The text floor's fixtures, and what tests of texts share.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace holdfast {

/// A fixture of tests/fixtures/text, read once.
inline const Json& text_fixture(const std::string& name) {
  static std::map<std::string, Json> known;
  const auto [fixture, fresh] = known.try_emplace(name);
  if (fresh) fixture->second = parse_json(read_file(fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text" / name), name);
  return fixture->second;
}

inline std::shared_ptr<const Tokenizer> fixture_tokenizer(const std::string& name) {
  return Tokenizer::from_json(text_fixture(name + ".tokenizer.json"), "tokenizer.json");
}

inline std::vector<std::int64_t> ids_of(const std::vector<Token>& tokens) {
  std::vector<std::int64_t> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

inline std::string joined(const std::vector<std::string>& pieces) {
  std::string text;
  for (const auto& piece : pieces) text += piece;
  return text;
}

}  // namespace holdfast
