// A customer's rows, as they arrive: a JSON object a line, each a conversation of which something can be learned.
#pragma once

#include <cstdint>

#include "base/file.h"

namespace holdfast {

/// The number of its rows. Reads a line at a time. Throws ApiError naming the line for what is no row (data/formats.h), and for
/// more rows than `most` (0: no limit).
std::int64_t check_training_file(const fs::path& path, std::int64_t most);

}  // namespace holdfast
