#include "learn/json_file.h"

#include <holdfast/error.h>

#include "base/foreign.h"

namespace holdfast {

Json json_content(const std::string& content, const fs::path& path) {
  if (const std::string what = foreign_content(content); !what.empty()) {
    throw Error(path.string() + ": this is no JSON file but " + what);
  }
  return parse_json(content, path.string());
}

Json json_file(const fs::path& path) { return json_content(read_file(path), path); }

}  // namespace holdfast
