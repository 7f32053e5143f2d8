// SHA-256 of files that are asked about again and again.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast {

/// sha256_file, remembered by this process while the file's size and time stay the same. Throws Error when it cannot be read.
std::string remembered_sha256(const std::filesystem::path& path);

/// The same of a file; of a folder (a checkpoint), the SHA-256 of its files' names and digests, those of hidden ones and of
/// folders in it left out.
std::string content_digest(const std::filesystem::path& path);

}  // namespace holdfast
