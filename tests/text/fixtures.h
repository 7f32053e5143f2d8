// Where the text floor's fixtures lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace holdfast {

inline Json text_fixture(const std::string& name) {
  const fs::path path = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/text" / name;
  return parse_json(read_file(path), name);
}

inline std::shared_ptr<const Tokenizer> fixture_tokenizer(const std::string& name) {
  return Tokenizer::from_json(text_fixture(name + ".tokenizer.json"), "tokenizer.json");
}

inline std::vector<std::int64_t> ids_of(const std::vector<Token>& tokens) {
  std::vector<std::int64_t> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace holdfast
