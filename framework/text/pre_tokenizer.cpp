#include "text/pre_tokenizer.h"

#include <utility>

#include "text/byte_level.h"
#include "text/characters.h"
#include "text/pattern.h"
#include "text/split_behavior.h"

namespace holdfast {

namespace {

using Pieces = std::vector<AlignedText>;

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(const Definition& definition) {
    for (const Definition& part : definition.items("pretokenizers")) parts_.push_back(from_json(part));
  }
  void split(AlignedText piece, Pieces& out) const override {
    Pieces pieces;
    pieces.push_back(std::move(piece));
    for (const auto& part : parts_) {
      Pieces next;
      for (AlignedText& each : pieces) part->split(std::move(each), next);
      pieces = std::move(next);
    }
    std::move(pieces.begin(), pieces.end(), std::back_inserter(out));
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> parts_;
};

class SplitPreTokenizer final : public PreTokenizer {
 public:
  explicit SplitPreTokenizer(const Definition& definition)
      : pattern_(Pattern::from_json(definition.at("pattern"))),
        behavior_(split_behavior(definition)),
        invert_(definition.boolean("invert", false)) {}
  void split(AlignedText piece, Pieces& out) const override {
    std::vector<Stretch> stretches = pattern_.split(piece.text);
    for (Stretch& stretch : stretches) stretch.matched ^= invert_;
    append_parts(piece, stretches, behavior_, out);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class CharacterPreTokenizer final : public PreTokenizer {
 public:
  CharacterPreTokenizer(bool (*matches)(char32_t), SplitBehavior behavior) : matches_(matches), behavior_(behavior) {}
  void split(AlignedText piece, Pieces& out) const override {
    append_parts(piece, split_characters(piece.text, matches_), behavior_, out);
  }

 private:
  bool (*matches_)(char32_t);
  SplitBehavior behavior_;
};

// Runs of word characters and runs of what is neither word nor space.
class WhitespacePreTokenizer final : public PreTokenizer {
 public:
  void split(AlignedText piece, Pieces& out) const override {
    for (std::size_t begin = 0; begin < piece.text.size();) {
      const Kind kind = kind_at(piece.text, begin);
      std::size_t end = begin;
      while (end < piece.text.size() && kind_at(piece.text, end) == kind) end += character_at(piece.text, end).size;
      if (kind != Kind::space) out.push_back(piece.slice(begin, end));
      begin = end;
    }
  }

 private:
  enum class Kind { word, space, other };
  static Kind kind_at(std::string_view text, std::size_t at) {
    const char32_t code = character_at(text, at).code;
    return is_word(code) ? Kind::word : is_space(code) ? Kind::space : Kind::other;
  }
};

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  explicit ByteLevelPreTokenizer(const Definition& definition)
      : prefix_(definition.boolean("add_prefix_space", true)), cut_(definition.boolean("use_regex", true)) {}
  void split(AlignedText piece, Pieces& out) const override {
    if (prefix_ && !piece.text.starts_with(' ')) piece.prepend(" ");
    if (!cut_) {
      if (!piece.empty()) out.push_back(spelled(piece, 0, piece.text.size()));
      return;
    }
    for (const Stretch& part : words().split(piece.text)) out.push_back(spelled(piece, part.begin, part.end));
  }

 private:
  static const Pattern& words() {
    static const Pattern pattern = Pattern::regex(
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "ByteLevel pre-tokenizer");
    return pattern;
  }
  static AlignedText spelled(const AlignedText& piece, std::size_t begin, std::size_t end) {
    AlignedText result;
    result.text.reserve((end - begin) * 2);
    result.origin.reserve((end - begin) * 2);
    for (std::size_t at = begin; at < end; ++at)
      result.append(byte_level_characters()[static_cast<unsigned char>(piece.text[at])], piece.origin[at]);
    return result;
  }

  bool prefix_;
  bool cut_;
};

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const Definition& definition)
      : mark_(definition.character("replacement")),
        scheme_(definition.string("prepend_scheme", definition.boolean("add_prefix_space", true) ? "always" : "never")),
        cut_(definition.boolean("split", true)) {
    if (scheme_ != "always" && scheme_ != "first" && scheme_ != "never")
      definition.fail("prepend_scheme \"" + scheme_ + "\" is not supported; supported: always, first, never");
  }
  void split(AlignedText piece, Pieces& out) const override {
    const bool at_start = !piece.empty() && piece.origin.front().begin == 0;
    piece = Pattern::literal(" ").replace(piece, mark_);
    const bool wanted = scheme_ == "always" || (scheme_ == "first" && at_start);
    if (wanted && !piece.text.starts_with(mark_)) piece.prepend(mark_);
    if (cut_)
      append_parts(piece, Pattern::literal(mark_).split(piece.text), SplitBehavior::merged_with_next, out);
    else if (!piece.empty())
      out.push_back(std::move(piece));
  }

 private:
  std::string mark_;
  std::string scheme_;
  bool cut_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> PreTokenizer::from_json(const Definition& definition) {
  const std::string type = definition.type();
  const auto characters = [](bool (*matches)(char32_t), SplitBehavior behavior) {
    return std::make_unique<CharacterPreTokenizer>(matches, behavior);
  };
  if (type == "Sequence") return std::make_unique<SequencePreTokenizer>(definition);
  if (type == "Split") return std::make_unique<SplitPreTokenizer>(definition);
  if (type == "ByteLevel") return std::make_unique<ByteLevelPreTokenizer>(definition);
  if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(definition);
  if (type == "Whitespace") return std::make_unique<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return characters(is_space, SplitBehavior::removed);
  if (type == "Digits")
    return characters(is_numeric,
                      definition.boolean("individual_digits", false) ? SplitBehavior::isolated : SplitBehavior::contiguous);
  if (type == "Punctuation")
    return characters(is_punctuation, definition.has("behavior") ? split_behavior(definition) : SplitBehavior::isolated);
  definition.unsupported("pre-tokenizer",
                         "Sequence, Split, ByteLevel, Metaspace, Whitespace, WhitespaceSplit, Digits, Punctuation");
}

}  // namespace holdfast
