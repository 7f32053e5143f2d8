// JSON files of a checkpoint.
#pragma once

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// The value that a file of this content holds. Throws Error naming the path, with what the file is when it is not JSON.
Json json_content(const std::string& content, const fs::path& path);
Json json_file(const fs::path& path);

}  // namespace holdfast
