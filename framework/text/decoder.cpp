#include "text/decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "text/byte_level.h"
#include "text/characters.h"
#include "text/pattern.h"

namespace holdfast {

namespace {

using Tokens = std::vector<std::string>;

class SequenceDecoder final : public TokenDecoder {
 public:
  explicit SequenceDecoder(const Definition& definition) {
    for (const Definition& part : definition.items("decoders")) parts_.push_back(from_json(part));
  }
  Tokens apply(Tokens tokens) const override {
    for (const auto& part : parts_) tokens = part->apply(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<const TokenDecoder>> parts_;
};

class ByteLevelDecoder final : public TokenDecoder {
 public:
  Tokens apply(Tokens tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_level_bytes(token).value_or(token);
    return {lossy_utf8(bytes)};
  }
};

class ByteFallbackDecoder final : public TokenDecoder {
 public:
  Tokens apply(Tokens tokens) const override {
    Tokens result;
    std::string bytes;
    for (std::string& token : tokens) {
      if (const auto byte = byte_of(token)) {
        bytes.push_back(*byte);
        continue;
      }
      flush(bytes, result);
      result.push_back(std::move(token));
    }
    flush(bytes, result);
    return result;
  }

 private:
  static std::optional<char> byte_of(const std::string& token) {
    constexpr std::string_view kHexadecimal = "0123456789abcdefABCDEF";
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    const std::string digits = token.substr(3, 2);
    if (digits.find_first_not_of(kHexadecimal) != std::string::npos) return std::nullopt;
    return static_cast<char>(std::stoi(digits, nullptr, 16));
  }
  static void flush(std::string& bytes, Tokens& result) {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes))
      result.push_back(bytes);
    else
      result.insert(result.end(), bytes.size(), std::string(kReplacementCharacter));
    bytes.clear();
  }
};

class FuseDecoder final : public TokenDecoder {
 public:
  Tokens apply(Tokens tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    return {text};
  }
};

class StripDecoder final : public TokenDecoder {
 public:
  explicit StripDecoder(const Definition& definition)
      : content_(definition.character("content")), start_(definition.integer("start")), stop_(definition.integer("stop")) {}
  Tokens apply(Tokens tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::int64_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
      for (std::int64_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
    return tokens;
  }

 private:
  std::string content_;
  std::int64_t start_;
  std::int64_t stop_;
};

class ReplaceDecoder final : public TokenDecoder {
 public:
  explicit ReplaceDecoder(const Definition& definition)
      : pattern_(Pattern::from_json(definition.at("pattern"))), by_(definition.string("content")) {}
  Tokens apply(Tokens tokens) const override {
    for (std::string& token : tokens) token = pattern_.replace(token, by_);
    return tokens;
  }

 private:
  Pattern pattern_;
  std::string by_;
};

class MetaspaceDecoder final : public TokenDecoder {
 public:
  explicit MetaspaceDecoder(const Definition& definition)
      : mark_(Pattern::literal(definition.character("replacement"))),
        prepended_(definition.string("prepend_scheme", definition.boolean("add_prefix_space", true) ? "always" : "never") !=
                   "never") {}
  Tokens apply(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = mark_.replace(tokens[i], i == 0 && prepended_ ? "" : " ");
    return tokens;
  }

 private:
  Pattern mark_;
  bool prepended_;
};

class WordPieceDecoder final : public TokenDecoder {
 public:
  explicit WordPieceDecoder(const Definition& definition)
      : prefix_(definition.string("prefix", "##")), cleanup_(definition.boolean("cleanup", true)) {}
  Tokens apply(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) tokens[i] = tokens[i].starts_with(prefix_) ? tokens[i].substr(prefix_.size()) : " " + tokens[i];
      if (cleanup_) tokens[i] = cleaned(tokens[i]);
    }
    return tokens;
  }

 private:
  static std::string cleaned(std::string text) {
    constexpr std::pair<const char*, const char*> kRules[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kRules) text = Pattern::literal(from).replace(text, to);
    return text;
  }

  std::string prefix_;
  bool cleanup_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> TokenDecoder::from_json(const Definition& definition) {
  const std::string type = definition.type();
  if (type == "Sequence") return std::make_unique<SequenceDecoder>(definition);
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return std::make_unique<StripDecoder>(definition);
  if (type == "Replace") return std::make_unique<ReplaceDecoder>(definition);
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(definition);
  if (type == "WordPiece") return std::make_unique<WordPieceDecoder>(definition);
  definition.unsupported("decoder", "Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, WordPiece");
}

}  // namespace holdfast
