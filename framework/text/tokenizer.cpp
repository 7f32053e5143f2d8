#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"

namespace holdfast {

namespace {

template <typename Part>
std::unique_ptr<const Part> optional_part(const Definition& definition, const std::string& key) {
  return definition.has(key) ? Part::from_json(definition.at(key)) : nullptr;
}

// The HF pipeline: added tokens, normalizer, pre-tokenizer, model, post-processor; and the decoder back.
class Pipeline final : public Tokenizer {
 public:
  explicit Pipeline(const Definition& definition)
      : normalizer_(optional_part<Normalizer>(definition, "normalizer")),
        pre_tokenizer_(optional_part<PreTokenizer>(definition, "pre_tokenizer")),
        model_(TokenModel::from_json(definition.at("model"))),
        decoder_(optional_part<TokenDecoder>(definition, "decoder")) {
    if (definition.has("post_processor")) post_processor_ = PostProcessor::from_json(definition.at("post_processor"));
    if (definition.has("added_tokens")) added_ = AddedTokens(definition.items("added_tokens"), normalizer_.get());
  }

  std::vector<Token> encode(std::string_view text, bool add_special) const override {
    std::vector<Token> tokens;
    if (add_special)
      for (const std::int64_t id : post_processor_.before) tokens.push_back({id, 0, 0});
    encode_raw(AlignedText::of(text), tokens);
    if (add_special)
      for (const std::int64_t id : post_processor_.after) tokens.push_back({id, text.size(), text.size()});
    return tokens;
  }

  std::string decode(const std::vector<std::int64_t>& ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    for (const std::int64_t id : ids) {
      const AddedToken* added = added_.find(id);
      if (added && added->special && skip_special) continue;
      if (const std::string* name = name_of(id)) tokens.push_back(*name);
    }
    const std::string_view separator = decoder_ ? "" : " ";
    if (decoder_) tokens = decoder_->apply(std::move(tokens));
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) text.append(i > 0 ? separator : "").append(tokens[i]);
    return text;
  }

  std::int64_t size() const override { return std::max(model_->vocabulary().size(), added_.size()); }

  std::optional<std::int64_t> id_of(std::string_view token) const override {
    if (const AddedToken* added = added_.find(token)) return added->id;
    return model_->vocabulary().id_of(token);
  }

  std::string token_of(std::int64_t id) const override {
    const std::string* name = name_of(id);
    return name ? *name : "";
  }

  bool is_added(std::int64_t id) const override { return added_.find(id) != nullptr; }

 private:
  const std::string* name_of(std::int64_t id) const {
    if (const AddedToken* added = added_.find(id)) return &added->content;
    return model_->vocabulary().token_of(id);
  }

  void encode_raw(const AlignedText& text, std::vector<Token>& tokens) const {
    for (const AddedStretch& stretch : added_.split_raw(text.text)) {
      if (stretch.id)
        push(*stretch.id, text.origin_of(stretch.begin, stretch.end), tokens);
      else
        encode_normalized(text.slice(stretch.begin, stretch.end), tokens);
    }
  }

  void encode_normalized(AlignedText text, std::vector<Token>& tokens) const {
    if (normalizer_) text = normalizer_->apply(std::move(text));
    for (const AddedStretch& stretch : added_.split_normalized(text.text)) {
      if (stretch.id)
        push(*stretch.id, text.origin_of(stretch.begin, stretch.end), tokens);
      else
        encode_pieces(text.slice(stretch.begin, stretch.end), tokens);
    }
  }

  void encode_pieces(AlignedText text, std::vector<Token>& tokens) const {
    std::vector<AlignedText> pieces;
    if (pre_tokenizer_)
      pre_tokenizer_->split(std::move(text), pieces);
    else
      pieces.push_back(std::move(text));
    std::vector<PieceToken> found;
    for (const AlignedText& piece : pieces) {
      found.clear();
      model_->tokenize(piece.text, found);
      for (const PieceToken& token : found) push(token.id, piece.origin_of(token.begin, token.end), tokens);
    }
  }

  static void push(std::int64_t id, ByteSpan origin, std::vector<Token>& tokens) {
    tokens.push_back({id, origin.begin, origin.end});
  }

  std::unique_ptr<const Normalizer> normalizer_;
  std::unique_ptr<const PreTokenizer> pre_tokenizer_;
  std::unique_ptr<const TokenModel> model_;
  std::unique_ptr<const TokenDecoder> decoder_;
  PostProcessor post_processor_;
  AddedTokens added_;
};

}  // namespace

Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::from_json(const Json& definition, const std::string& source) {
  return std::make_shared<const Pipeline>(Definition(definition, source));
}

}  // namespace holdfast
