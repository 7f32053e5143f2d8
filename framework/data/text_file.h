// The text of a data file.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast {

/// The file's text in UTF-8 without byte order mark, unpacked when gzip compressed it. Throws Error naming what was found
/// instead and what to do: other compressions, binary tables, other encodings.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace holdfast
