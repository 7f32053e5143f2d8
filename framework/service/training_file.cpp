#include "service/training_file.h"

#include <holdfast/error.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "data/formats.h"
#include "data/row_file.h"
#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestLine = 4 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

ApiError bad_file(const std::string& message) { return wrong_field("file", message, "invalid_training_file"); }

// Lines of any file: one that is too long is refused before it is in memory.
class Lines {
 public:
  explicit Lines(const fs::path& path) : in_(path, std::ios::binary) {
    if (!in_) throw Error("cannot read " + path.string());
  }

  bool next(std::string& line) {
    line.clear();
    ++number_;
    for (int c = in_.get(); c != std::ifstream::traits_type::eof(); c = in_.get()) {
      if (c == '\n') return true;
      if (line.size() == kLongestLine) throw bad_file("line " + std::to_string(number_) + ": it has more than 4 MiB");
      line += static_cast<char>(c);
    }
    return !line.empty();
  }

  std::int64_t number() const { return number_; }

 private:
  std::ifstream in_;
  std::int64_t number_ = 0;
};

void check_row(const std::string& line, const std::string& place) {
  const auto is_learned = [](const Message& turn) { return turn.role == "assistant" && turn.learned && !turn.content.empty(); };
  try {
    const Json row = parse_row(line, place);
    if (!row.is_object()) throw bad_file(place + ": it is no JSON object, expected {\"messages\": [...]}");
    const Example example = example_from_json(row, place);
    const auto& turns = example.messages;
    if (std::any_of(turns.begin(), turns.end(), is_learned)) return;
  } catch (const Error& error) {
    const std::string text = error.what();
    const bool after_place = text.starts_with(place) && !text.starts_with(place + ":");
    throw bad_file(after_place ? place + ": the row" + text.substr(place.size()) : text);
  }
  throw bad_file(place + ": it has no turn of the assistant that could be learned");
}

}  // namespace

std::int64_t check_training_file(const fs::path& path, std::int64_t most) {
  Lines lines(path);
  std::int64_t rows = 0;
  for (std::string line; lines.next(line);) {
    if (lines.number() == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (most > 0 && rows == most)
      throw bad_file("the file has more than the " + std::to_string(most) + " rows that one may have here");
    check_row(line, "line " + std::to_string(lines.number()));
    ++rows;
  }
  if (rows == 0) throw bad_file("the file holds no rows, expected at least one");
  return rows;
}

}  // namespace holdfast
