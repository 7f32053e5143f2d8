#include "text/normalizer.h"

#include <holdfast/error.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <utility>
#include <vector>

#include "text/characters.h"
#include "text/pattern.h"

namespace holdfast {

namespace {

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(const Definition& definition) {
    for (const Definition& part : definition.items("normalizers")) parts_.push_back(from_json(part));
  }
  AlignedText apply(AlignedText text) const override {
    for (const auto& part : parts_) text = part->apply(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> parts_;
};

class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(const Definition& definition) : text_(definition.string("prepend")) {}
  AlignedText apply(AlignedText text) const override {
    if (!text.empty()) text.prepend(text_);
    return text;
  }

 private:
  std::string text_;
};

class ReplaceNormalizer final : public Normalizer {
 public:
  explicit ReplaceNormalizer(const Definition& definition)
      : pattern_(Pattern::from_json(definition.at("pattern"))), by_(definition.string("content")) {}
  AlignedText apply(AlignedText text) const override { return pattern_.replace(text, by_); }

 private:
  Pattern pattern_;
  std::string by_;
};

class StripNormalizer final : public Normalizer {
 public:
  explicit StripNormalizer(const Definition& definition)
      : left_(definition.boolean("strip_left", true)), right_(definition.boolean("strip_right", true)) {}
  AlignedText apply(AlignedText text) const override {
    std::size_t begin = 0;
    std::size_t end = text.text.size();
    for (; left_ && begin < end; begin += character_at(text.text, begin).size)
      if (!is_space(character_at(text.text, begin).code)) break;
    for (; right_ && end > begin; end = character_before(text.text, end))
      if (!is_space(character_at(text.text, character_before(text.text, end)).code)) break;
    return text.slice(begin, end);
  }

 private:
  bool left_;
  bool right_;
};

class StripAccentsNormalizer final : public Normalizer {
 public:
  AlignedText apply(AlignedText text) const override {
    AlignedText result;
    for (std::size_t at = 0; at < text.text.size();) {
      const Character character = character_at(text.text, at);
      if (!is_mark(character.code)) result.append(text, at, at + character.size);
      at += character.size;
    }
    return result;
  }
};

std::string to_utf8(const std::u16string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    UChar32 code = 0;
    U16_NEXT(text.data(), at, text.size(), code);
    append_utf8(result, static_cast<char32_t>(code));
  }
  return result;
}

void append_utf16(std::u16string& text, char32_t code) {
  if (code >= 0x10000) {
    text.push_back(U16_LEAD(code));
    text.push_back(U16_TRAIL(code));
  } else {
    text.push_back(static_cast<char16_t>(code));
  }
}

// Character by character, so a final sigma is not treated apart: as HF does.
class LowercaseNormalizer final : public Normalizer {
 public:
  AlignedText apply(AlignedText text) const override {
    AlignedText result;
    result.text.reserve(text.text.size());
    result.origin.reserve(text.text.size());
    for (std::size_t at = 0; at < text.text.size();) {
      const Character character = character_at(text.text, at);
      const std::string lower = lowered(character.code);
      if (std::string_view(text.text).substr(at, character.size) == lower)
        result.append(text, at, at + character.size);
      else
        result.append(lower, text.origin_of(at, at + character.size));
      at += character.size;
    }
    return result;
  }

 private:
  static std::string lowered(char32_t code) {
    if (code < 0x80) return std::string(1, static_cast<char>(code >= 'A' && code <= 'Z' ? code + 32 : code));
    std::u16string from;
    append_utf16(from, code);
    std::u16string to(8, u'\0');
    UErrorCode status = U_ZERO_ERROR;
    const int size =
        u_strToLower(to.data(), static_cast<int>(to.size()), from.data(), static_cast<int>(from.size()), "", &status);
    HOLDFAST_CHECK(U_SUCCESS(status));
    to.resize(static_cast<std::size_t>(size));
    return to_utf8(to);
  }
};

// NFC, NFD, NFKC, NFKD. The text is normalized from one boundary to the next, so that only what really changes loses its
// exact origin.
class UnicodeNormalizer final : public Normalizer {
 public:
  explicit UnicodeNormalizer(const std::string& form) {
    UErrorCode status = U_ZERO_ERROR;
    form_ = form == "NFC"    ? unorm2_getNFCInstance(&status)
            : form == "NFD"  ? unorm2_getNFDInstance(&status)
            : form == "NFKC" ? unorm2_getNFKCInstance(&status)
                             : unorm2_getNFKDInstance(&status);
    HOLDFAST_CHECK(U_SUCCESS(status));
  }
  AlignedText apply(AlignedText text) const override {
    AlignedText result;
    result.text.reserve(text.text.size());
    result.origin.reserve(text.text.size());
    for (std::size_t begin = 0; begin < text.text.size();) {
      const std::size_t end = boundary_after(text.text, begin);
      append_normalized(result, text, begin, end);
      begin = end;
    }
    return result;
  }

 private:
  std::size_t boundary_after(const std::string& text, std::size_t begin) const {
    std::size_t end = begin + character_at(text, begin).size;
    while (end < text.size() && !unorm2_hasBoundaryBefore(form_, static_cast<UChar32>(character_at(text, end).code)))
      end += character_at(text, end).size;
    return end;
  }

  void append_normalized(AlignedText& result, const AlignedText& text, std::size_t begin, std::size_t end) const {
    if (end - begin == 1) return result.append(text, begin, end);
    std::u16string from;
    for (std::size_t at = begin; at < end;) {
      const Character character = character_at(text.text, at);
      append_utf16(from, character.code);
      at += character.size;
    }
    const std::string normalized = to_utf8(normalize(from));
    if (std::string_view(text.text).substr(begin, end - begin) == normalized) return result.append(text, begin, end);
    result.append(normalized, text.origin_of(begin, end));
  }

  std::u16string normalize(const std::u16string& from) const {
    std::u16string to(from.size() * 18 + 1, u'\0');  // no character expands to more than 18 units
    UErrorCode status = U_ZERO_ERROR;
    const int size =
        unorm2_normalize(form_, from.data(), static_cast<int>(from.size()), to.data(), static_cast<int>(to.size()), &status);
    HOLDFAST_CHECK(U_SUCCESS(status));
    to.resize(static_cast<std::size_t>(size));
    return to;
  }

  const UNormalizer2* form_;
};

}  // namespace

std::unique_ptr<const Normalizer> Normalizer::from_json(const Definition& definition) {
  const std::string type = definition.type();
  if (type == "Sequence") return std::make_unique<SequenceNormalizer>(definition);
  if (type == "Prepend") return std::make_unique<PrependNormalizer>(definition);
  if (type == "Replace") return std::make_unique<ReplaceNormalizer>(definition);
  if (type == "Strip") return std::make_unique<StripNormalizer>(definition);
  if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") return std::make_unique<UnicodeNormalizer>(type);
  definition.unsupported("normalizer", "Sequence, Prepend, Replace, Strip, StripAccents, Lowercase, NFC, NFD, NFKC, NFKD");
}

}  // namespace holdfast
