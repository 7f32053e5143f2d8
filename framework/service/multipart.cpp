#include "service/multipart.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

#include "base/json.h"
#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestHead = 8 << 10, kLongestBoundary = 70;
constexpr int kMostParts = 32;

[[noreturn]] void refuse_form(const std::string& what) {
  throw ApiError{.message = "the body is no form as multipart/form-data has it: " + what, .code = "invalid_form"};
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What ends at a separator outside quotes.
std::string_view take_until(std::string_view& rest, char separator) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != separator); ++at) {
    if (quoted && rest[at] == '\\') {
      ++at;
    } else if (rest[at] == '"') {
      quoted = !quoted;
    }
  }
  at = std::min(at, rest.size());
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(std::min(rest.size(), at + 1));
  return trimmed(taken);
}

// Browsers and curl write a quote as %22 or \"; both stay what they are but for the backslash.
std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
    plain += text[at];
  }
  return plain;
}

// {name, value} of what follows the first word: form-data; name="file"; filename="rows.jsonl".
std::vector<std::pair<std::string, std::string>> parameters(std::string_view rest) {
  std::vector<std::pair<std::string, std::string>> found;
  while (!rest.empty()) {
    std::string_view pair = take_until(rest, ';');
    if (pair.empty()) continue;
    const std::string name = lower_case(std::string(take_until(pair, '=')));
    found.emplace_back(name, unquoted(trimmed(pair)));
  }
  return found;
}

// RFC 5987: UTF-8''rows%20of%20mine.jsonl
std::string after_language(const std::string& value) {
  const auto begin = value.rfind('\'');
  std::string text;
  for (std::size_t at = begin == std::string::npos ? 0 : begin + 1; at < value.size(); ++at) {
    const bool escaped = value[at] == '%' && at + 2 < value.size() &&
                         std::isxdigit(static_cast<unsigned char>(value[at + 1])) != 0 &&
                         std::isxdigit(static_cast<unsigned char>(value[at + 2])) != 0;
    text += escaped ? static_cast<char>(std::stoi(value.substr(at + 1, 2), nullptr, 16)) : value[at];
    if (escaped) at += 2;
  }
  return text;
}

MultipartPart part_of(std::string_view disposition) {
  if (lower_case(std::string(take_until(disposition, ';'))) != "form-data") refuse_form("a part is no form-data");
  MultipartPart part;
  bool named = false;
  std::optional<std::string> extended;
  for (auto& [name, value] : parameters(disposition)) {
    if (name == "name") {
      if (std::exchange(named, true)) refuse_form("a part has two names");
      part.name = std::move(value);
    } else if (name == "filename") {
      if (std::exchange(part.is_file, true)) refuse_form("a part has two file names");
      part.filename = std::move(value);
    } else if (name == "filename*") {
      extended = after_language(value);
    } else {
      refuse_form("a part's disposition has the parameter " + in_quotes(name));
    }
  }
  if (!named) refuse_form("a part has no name");
  if (extended && !std::exchange(part.is_file, true)) part.filename = *extended;
  return part;
}

MultipartPart part_in(std::string_view head) {
  std::string disposition;
  while (!head.empty()) {
    const auto end = std::min(head.find("\r\n"), head.size());
    std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(head.size(), end + 2));
    const std::string name = lower_case(std::string(take_until(line, ':')));
    if (name == "content-transfer-encoding" && lower_case(std::string(trimmed(line))) != "binary" &&
        lower_case(std::string(trimmed(line))) != "8bit" && lower_case(std::string(trimmed(line))) != "7bit") {
      refuse_form("a part is encoded: send it as it is");
    }
    if (name != "content-disposition") continue;
    if (!disposition.empty()) refuse_form("a part has two dispositions");
    disposition = trimmed(line);
  }
  if (disposition.empty()) refuse_form("a part has no Content-Disposition");
  return part_of(disposition);
}

}  // namespace

std::string multipart_boundary(const std::string& content_type) {
  std::string_view rest = content_type;
  const std::string type = lower_case(std::string(take_until(rest, ';')));
  if (type != "multipart/form-data") {
    throw ApiError{.message = "the Content-Type is " + in_quotes(content_type) + ", expected multipart/form-data",
                   .code = "invalid_form"};
  }
  for (const auto& [name, value] : parameters(rest)) {
    if (name != "boundary") continue;
    if (value.empty() || value.size() > kLongestBoundary || value.find_first_of("\r\n") != std::string::npos) break;
    return value;
  }
  refuse_form("the Content-Type names no boundary of 1 to 70 characters");
}

MultipartReader::MultipartReader(const std::string& boundary, OnPart on_part, OnData on_data)
    : delimiter_("\r\n--" + boundary), on_part_(std::move(on_part)), on_data_(std::move(on_data)) {}

void MultipartReader::read(std::string_view bytes) {
  // In pieces, so that what is kept stays small whatever comes at once.
  constexpr std::size_t kPiece = 1 << 16;
  while (!bytes.empty()) {
    buffer_ += bytes.substr(0, kPiece);
    bytes.remove_prefix(std::min(bytes.size(), kPiece));
    while (step()) {
    }
  }
}

// False where more is needed first.
bool MultipartReader::step() {
  switch (where_) {
    case Where::kPreamble:
      return skip_preamble();
    case Where::kBoundary:
      return pass_boundary();
    case Where::kHead:
      return read_head();
    case Where::kData:
      return read_data();
    case Where::kEnd:
      buffer_.clear();
      return false;  // an epilogue says nothing
  }
  return false;
}

bool MultipartReader::skip_preamble() {
  if (buffer_.size() < delimiter_.size()) return false;
  if (!buffer_.starts_with(delimiter_)) refuse_form("it does not begin with the boundary");
  buffer_.erase(0, delimiter_.size());
  where_ = Where::kBoundary;
  return true;
}

bool MultipartReader::pass_boundary() {
  if (buffer_.size() < 2) return false;
  const bool last = buffer_.starts_with("--");
  if (!last && !buffer_.starts_with("\r\n")) refuse_form("a boundary is followed by something else than a line's end");
  where_ = last ? Where::kEnd : Where::kHead;
  if (!last && ++parts_ > kMostParts) refuse_form("it has more than " + std::to_string(kMostParts) + " parts");
  buffer_.erase(0, 2);
  return true;
}

bool MultipartReader::read_head() {
  const auto end = buffer_.find("\r\n\r\n");
  if (std::min(end, buffer_.size()) > kLongestHead) refuse_form("a part's head has more than 8 KiB");
  if (end == std::string::npos) return false;
  const MultipartPart part = part_in(std::string_view(buffer_).substr(0, end));
  buffer_.erase(0, end + 4);
  where_ = Where::kData;
  on_part_(part);
  return true;
}

bool MultipartReader::read_data() {
  const auto end = buffer_.find(delimiter_);
  if (end != std::string::npos) {
    on_data_(std::string_view(buffer_).substr(0, end));
    buffer_.erase(0, end + delimiter_.size());
    where_ = Where::kBoundary;
    return true;
  }
  if (buffer_.size() < delimiter_.size()) return false;
  const std::size_t certain = buffer_.size() - delimiter_.size() + 1;  // the rest may be the beginning of the end
  on_data_(std::string_view(buffer_).substr(0, certain));
  buffer_.erase(0, certain);
  return false;
}

void MultipartReader::finish() const {
  if (where_ != Where::kEnd) refuse_form("it ends before its last boundary");
}

}  // namespace holdfast
