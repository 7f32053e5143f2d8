// The rows that collect and screen stages make.
#pragma once

#include <holdfast/dataset.h>

#include "base/file.h"

namespace holdfast {

/// In their artifacts.
inline constexpr const char* kDataFile = "data.jsonl";

/// The rows of such a file, each with its origin. Throws Error naming the line that is no row.
Dataset read_stage_data(const fs::path& path);

}  // namespace holdfast
