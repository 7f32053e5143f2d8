// SHA-256 of files that are asked about again and again.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast {

/// sha256_file, remembered by this process while the file's size and time stay the same. Throws Error when it cannot be read.
std::string remembered_sha256(const std::filesystem::path& path);

}  // namespace holdfast
