#include "base/json.h"

#include <holdfast/error.h>

#include <sstream>

#include "base/file.h"
#include "base/untrusted.h"

namespace holdfast {
namespace {

// nlohmann's messages begin with an id in brackets that means nothing to a reader.
std::string reason(const Json::exception& error) {
  const std::string text = error.what();
  const auto end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace

std::string canonical(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string in_quotes(const std::string& name) {
  constexpr std::size_t kLongest = 100;
  return canonical(name.size() <= kLongest ? name : name.substr(0, kLongest) + "...");
}

Json parse_json(const std::string& text, const std::string& source) {
  if (nests_too_deep(text)) {
    throw Error(source + ": its lists and objects lie in each other more than " + std::to_string(kDeepestJson) +
                " deep, which no file needs");
  }
  if (has_zero_byte(text)) throw Error(source + " is not valid JSON: a zero byte stands in it");
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw Error(source + " is not valid JSON: " + reason(error));
  }
}

void read_jsonl(const std::filesystem::path& path, const std::function<void(const Json&, std::int64_t)>& row) {
  std::istringstream lines(read_file(path));
  std::string line;
  for (std::int64_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    row(parse_json(line, path.string() + ":" + std::to_string(number)), number);
  }
}

}  // namespace holdfast
