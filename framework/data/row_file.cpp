#include "data/row_file.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "base/untrusted.h"
#include "data/csv.h"
#include "data/row_keys.h"
#include "data/text_file.h"

namespace holdfast {
namespace {

constexpr const char* kBlanks = " \t\r\n";

bool is_blank(const std::string& text) { return text.find_first_not_of(kBlanks) == std::string::npos; }

bool is_message(const Json& value) {
  return value.is_object() && (value.contains("role") || value.contains("from")) &&
         (value.contains("content") || value.contains("value"));
}

// {"train": [...]}: a table of lists of rows, as some libraries write it.
void refuse_wrapped_rows(const Json& object, const std::string& source) {
  for (const auto& [key, member] : object.items()) {
    const bool rows = member.is_array() && !member.empty() && member.front().is_object() && !is_message(member.front());
    if (!rows || std::count(kConversationKeys.begin(), kConversationKeys.end(), key) > 0) continue;
    throw Error(source + " holds an object whose " + in_quotes(key) + " is a list of " + std::to_string(member.size()) +
                " objects, expected a row a line or a list of rows: bring that list as a file of its own");
  }
}

std::vector<FileRow> rows_of_document(Json document, std::int64_t line, const std::string& source) {
  if (document.is_object()) refuse_wrapped_rows(document, source);
  const bool one_chat = document.is_array() && !document.empty() && std::all_of(document.begin(), document.end(), is_message);
  if (document.is_object() || one_chat) return {{std::move(document), source + ":" + std::to_string(line)}};
  std::vector<FileRow> rows;
  for (auto& row : document) rows.push_back({std::move(row), source + ", row " + std::to_string(rows.size() + 1)});
  return rows;
}

std::vector<FileRow> rows_of_lines(const std::string& text, const std::string& source) {
  std::vector<FileRow> rows;
  std::istringstream lines(text);
  std::string line;
  for (std::int64_t number = 1; std::getline(lines, line); ++number) {
    const std::string place = source + ":" + std::to_string(number);
    if (!is_blank(line)) rows.push_back({parse_row(line, place), place});
  }
  return rows;
}

// Lines when the first one is a value of its own and others follow; else one document.
std::vector<FileRow> rows_of_json(const std::string& text, std::size_t begin, const std::string& source) {
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  const std::string first = text.substr(begin, end - begin);
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  if (!Json::accept(first)) {
    const char last = first[first.find_last_not_of(kBlanks)];
    const bool goes_on = text[begin] == '[' || std::string("{[,:").find(last) != std::string::npos;
    if (!goes_on && !Json::accept(text)) return rows_of_lines(text, source);
    return rows_of_document(parse_row(text, source), line, source);
  }
  if (!is_blank(text.substr(end))) return rows_of_lines(text, source);
  return rows_of_document(parse_row(first, source + ":" + std::to_string(line)), line, source);
}

bool names_a_question(const std::vector<std::string>& cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const std::string& cell) { return std::count(kQuestionKeys.begin(), kQuestionKeys.end(), cell) > 0; });
}

std::string keys_in_words(const std::vector<std::string>& keys) {
  std::string words;
  for (const auto& key : keys) words += (words.empty() ? "" : ", ") + in_quotes(key);
  return words;
}

char separator_of(const std::string& header, const std::string& source) {
  for (const char separator : {',', '\t', ';'}) {
    const auto records = parse_csv(header, separator, source);
    if (!records.empty() && names_a_question(records.front().cells)) return separator;
  }
  throw Error(source + " is neither JSON (a row a line, or a list of rows) nor CSV whose header names what is asked (" +
              keys_in_words(kQuestionKeys) + "): its first line is " + in_quotes(header));
}

Json row_of(const CsvRecord& header, const CsvRecord& record, const std::string& place) {
  if (record.cells.size() != header.cells.size()) {
    throw Error(place + " has " + std::to_string(record.cells.size()) + " cells and the header " +
                std::to_string(header.cells.size()) + ": put cells that hold the separator, quotes or line ends in quotes");
  }
  Json row = Json::object();
  for (std::size_t i = 0; i < record.cells.size(); ++i) {
    if (!record.cells[i].empty()) row[header.cells[i]] = record.cells[i];
  }
  return row;
}

std::vector<FileRow> rows_of_csv(const std::string& text, std::size_t begin, const std::string& source) {
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  std::string first = text.substr(begin, end - begin);
  if (first.ends_with('\r')) first.pop_back();
  const char separator = separator_of(first, source);
  const auto records = parse_csv(text, separator, source);
  const CsvRecord& header = records.front();
  const std::set<std::string> names(header.cells.begin(), header.cells.end());
  if (names.size() < header.cells.size()) throw Error(source + ":1 names one column twice: rename or remove one of the two");
  std::vector<FileRow> rows;
  for (std::size_t i = 1; i < records.size(); ++i) {
    const std::string place = source + ":" + std::to_string(records[i].line);
    rows.push_back({row_of(header, records[i], place), place});
  }
  return rows;
}

}  // namespace

// A key that stands twice would drop a value in silence.
Json parse_row(const std::string& text, const std::string& place) {
  // The parser would pass over it, and so read what another reader of the same file takes for no JSON.
  if (text.starts_with("\xef\xbb\xbf")) {
    throw Error(place + " begins with a byte order mark, which only a file may begin with: take it out");
  }
  if (nests_too_deep(text) || has_zero_byte(text)) return parse_json(text, place);  // which says so
  std::vector<std::set<std::string>> open;
  std::string twice;
  const Json value = Json::parse(
      text,
      [&](int, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start) open.emplace_back();
        if (event == Json::parse_event_t::object_end) open.pop_back();
        if (event == Json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second) {
          twice = parsed.get<std::string>();
        }
        return true;
      },
      false);
  if (value.is_discarded()) return parse_json(text, place);  // which says why
  if (!twice.empty()) throw Error(place + ": the key " + in_quotes(twice) + " stands twice: remove one of the two");
  return value;
}

std::vector<FileRow> read_row_file(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return {};
  const bool json = text[begin] == '{' || text[begin] == '[';
  return json ? rows_of_json(text, begin, path.string()) : rows_of_csv(text, begin, path.string());
}

}  // namespace holdfast
