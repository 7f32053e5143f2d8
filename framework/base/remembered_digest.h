// SHA-256 of files that are asked about again and again.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast {

/// sha256_file, remembered while the file is the same by device, inode, size, time of its content and time of its inode: by
/// this process, and of large files (1 MiB and more) by all of a user's, in digests.json of cache_folder(). A file that was
/// written within the last two seconds is not remembered: clocks of file systems are coarse. Throws Error when it cannot be
/// read.
std::string remembered_sha256(const std::filesystem::path& path);

/// The same of a file; of a folder (a checkpoint), the SHA-256 of its files' names and digests, those of hidden ones and of
/// folders in it left out.
std::string content_digest(const std::filesystem::path& path);

}  // namespace holdfast
