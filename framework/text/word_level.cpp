#include "text/word_level.h"

namespace holdfast {

namespace {

std::int32_t unknown_id(const Vocabulary& vocabulary, const Definition& definition) {
  const std::string name = definition.string("unk_token");
  const auto id = vocabulary.id_of(name);
  if (!id) definition.fail("the unknown token \"" + name + "\" is not in the vocabulary");
  return *id;
}

}  // namespace

WordLevel::WordLevel(const Definition& definition)
    : vocabulary_(definition.at("vocab")), unknown_(unknown_id(vocabulary_, definition)) {}

void WordLevel::tokenize(const std::string& piece, std::vector<PieceToken>& out) const {
  out.push_back({vocabulary_.id_of(piece).value_or(unknown_), 0, piece.size()});
}

}  // namespace holdfast
