// Text to token ids and back, from a checkpoint's tokenizer.json or from GGUF metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// The tokenizer part of a GGUF file's metadata (keys tokenizer.ggml.*).
struct GgufVocabulary {
  std::string model;  // "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
  std::string pre;    // name of the pre-tokenizer of a "gpt2" model
  std::vector<std::string> tokens;
  std::vector<std::string> merges;        // "left right"
  std::vector<float> scores;              // "llama" only
  std::vector<std::int32_t> token_types;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte
  std::optional<std::int64_t> bos, eos, unknown;
  bool add_bos = false, add_eos = false, add_space_prefix = true;
};

/// The same vocabulary as the content of a tokenizer.json, which is also what an exported folder gets. Throws Error naming
/// `source` for a model or pre-tokenizer that is not supported.
Json tokenizer_definition(const GgufVocabulary& vocabulary, const std::string& source);

/// A token and the half-open byte range of the input it came from. For byte-level tokens that hold part of a character the
/// range is exact in bytes.
struct Token {
  std::int64_t id;
  std::size_t begin;
  std::size_t end;
};

class Tokenizer {
 public:
  /// From the content of a tokenizer.json. Throws Error naming `source` and the unsupported type, if any.
  static std::shared_ptr<const Tokenizer> from_json(const Json& definition, const std::string& source);
  static std::shared_ptr<const Tokenizer> from_gguf(const GgufVocabulary& vocabulary, const std::string& source);
  virtual ~Tokenizer();

  /// Token ids of `text`, equal to those of HF tokenizers. Special tokens written in the text are recognised, as HF does.
  /// `add_special` applies the post-processor (bos, eos).
  virtual std::vector<Token> encode(std::string_view text, bool add_special) const = 0;
  /// Text of the ids, equal to HF decode with clean_up_tokenization_spaces off. Invalid UTF-8 becomes U+FFFD.
  virtual std::string decode(const std::vector<std::int64_t>& ids, bool skip_special) const = 0;

  virtual std::int64_t size() const = 0;  // one more than the largest id
  virtual std::optional<std::int64_t> id_of(std::string_view token) const = 0;
  virtual std::string token_of(std::int64_t id) const = 0;
  /// Whether it is recognised in the text itself, so that no text beside it becomes part of it.
  virtual bool is_added(std::int64_t id) const = 0;
};

}  // namespace holdfast
