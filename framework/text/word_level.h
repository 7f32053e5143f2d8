// A model with one token a word.
#pragma once

#include "text/token_model.h"

namespace holdfast {

class WordLevel final : public TokenModel {
 public:
  explicit WordLevel(const Definition& definition);
  void tokenize(const std::string& piece, std::vector<PieceToken>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  std::int32_t unknown_;
};

}  // namespace holdfast
