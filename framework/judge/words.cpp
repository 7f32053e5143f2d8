// Replies as words.
#include <holdfast/error.h>
#include <holdfast/judge.h>
#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <memory>
#include <string>

namespace holdfast {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

icu::UnicodeString unicode(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
}

std::string utf8(const icu::UnicodeString& text) {
  std::string bytes;
  return text.toUTF8String(bytes);
}

UScriptCode script_of(UChar32 c) {
  UErrorCode status = U_ZERO_ERROR;
  return uscript_getScript(c, &status);
}

template <typename Wanted>
bool any_character(const icu::UnicodeString& text, Wanted wanted) {
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    if (wanted(text.char32At(i))) return true;
  }
  return false;
}

const icu::Normalizer2& normalizer(const icu::Normalizer2* (*get)(UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = get(status);
  HOLDFAST_CHECK(U_SUCCESS(status));
  return *found;
}

bool is_apostrophe(UChar32 c) {
  return c == 0x2018 || c == 0x2019 || c == 0x201B || c == 0x02BC || c == 0x2032 || c == 0x00B4 || c == 0xFF07;
}

bool is_quotation_mark(UChar32 c) { return (c >= 0x201C && c <= 0x201F) || c == 0xFF02; }

// Another way to write the same letters, and not another meaning as in a superscript.
bool is_variant(UChar32 c) {
  switch (u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE)) {
    case U_DT_COMPAT:
    case U_DT_FONT:
    case U_DT_NARROW:
    case U_DT_NOBREAK:
    case U_DT_WIDE:
      return true;
    default:
      return false;
  }
}

void append_plain(icu::UnicodeString& plain, UChar32 c) {
  if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return;
  icu::UnicodeString usual;
  if (is_apostrophe(c)) {
    plain.append(u'\'');
  } else if (is_quotation_mark(c)) {
    plain.append(u'"');
  } else if (c > 0x7F && u_isUWhiteSpace(c)) {
    plain.append(c == 0x85 || c == 0x2028 || c == 0x2029 ? u'\n' : u' ');
  } else if (is_variant(c) && normalizer(icu::Normalizer2::getNFKCInstance).getDecomposition(c, usual)) {
    plain.append(usual);
  } else {
    plain.append(c);
  }
}

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' || (c & 0x80) != 0;
}

// Words by Unicode's rules of a piece of text.
void append_words(std::vector<std::string>& words, std::string_view piece) {
  thread_local const std::unique_ptr<icu::BreakIterator> boundaries = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    HOLDFAST_CHECK(U_SUCCESS(status));
    return made;
  }();
  const icu::UnicodeString text = unicode(piece);
  boundaries->setText(text);
  std::int32_t begin = boundaries->first();
  for (auto end = boundaries->next(); end != icu::BreakIterator::DONE; begin = end, end = boundaries->next()) {
    if (boundaries->getRuleStatus() >= UBRK_WORD_NONE_LIMIT) words.push_back(utf8(text.tempSubStringBetween(begin, end)));
  }
}

constexpr std::int32_t kShortSentence = 40;
constexpr std::int32_t kLongestOpening = 200;

// "3.5", "e.g." and "x.com" end none.
bool ends_sentence(const icu::UnicodeString& text, std::int32_t at) {
  const UChar32 c = text.char32At(at);
  if (c == '\n') return true;
  if (u_hasBinaryProperty(c, UCHAR_S_TERM) == 0) return false;
  const std::int32_t next = text.moveIndex32(at, 1);
  return next >= text.length() || text.char32At(next) > 0x7F || u_isalnum(text.char32At(next)) == 0;
}

}  // namespace

std::string plain_text(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  const icu::UnicodeString given = unicode(text);
  icu::UnicodeString plain;
  for (std::int32_t i = 0; i < given.length(); i = given.moveIndex32(i, 1)) append_plain(plain, given.char32At(i));
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString composed = normalizer(icu::Normalizer2::getNFCInstance).normalize(plain, status);
  HOLDFAST_CHECK(U_SUCCESS(status));
  return utf8(composed);
}

std::string lower_case(std::string_view text) {
  if (!is_ascii(text)) return utf8(unicode(text).toLower(icu::Locale::getRoot()));
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (auto begin = text.begin(); begin != text.end();) {
    begin = std::find_if(begin, text.end(), in_word);
    const auto end = std::find_if_not(begin, text.end(), in_word);
    const std::string_view run(begin, end);
    const auto first = run.find_first_not_of('\'');
    if (first != std::string_view::npos && is_ascii(run)) {
      words.emplace_back(run.substr(first, run.find_last_not_of('\'') - first + 1));
    } else if (first != std::string_view::npos) {
      append_words(words, run);
    }
    begin = end;
  }
  return words;
}

bool has_letter(std::string_view text) {
  return any_character(unicode(text), [](UChar32 c) { return u_isalpha(c) != 0; });
}

bool has_latin_letter(std::string_view text) {
  return any_character(unicode(text), [](UChar32 c) { return u_isalpha(c) != 0 && script_of(c) == USCRIPT_LATIN; });
}

bool is_unspaced(std::string_view text) {
  return !is_ascii(text) && any_character(unicode(text), [](UChar32 c) {
    return u_isalpha(c) != 0 && uscript_breaksBetweenLetters(script_of(c)) != 0;
  });
}

std::size_t find_sequence(const std::vector<std::string>& words, const std::vector<std::string>& sequence, std::size_t from) {
  if (from > words.size()) return words.size();
  const auto found =
      std::search(words.begin() + static_cast<std::ptrdiff_t>(from), words.end(), sequence.begin(), sequence.end());
  return static_cast<std::size_t>(found - words.begin());
}

std::string opening_of(std::string_view answer) {
  const icu::UnicodeString text = unicode(plain_text(answer));
  icu::UnicodeString opening;
  std::int32_t length = 0;  // in characters
  for (std::int32_t at = 0; at < text.length() && length < kLongestOpening; at = text.moveIndex32(at, 1)) {
    const UChar32 c = text.char32At(at);
    if (length == 0 && u_isalnum(c) == 0) continue;
    opening.append(c);
    ++length;
    if (length >= kShortSentence && ends_sentence(text, at)) break;
  }
  return utf8(opening);
}

}  // namespace holdfast
