// Files: whole reads, writes that are whole or absent, and read-only mappings.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

namespace fs = std::filesystem;

/// The system's words for an error, and what to do where it is that of a disk.
std::string reason_of(int error);

/// The whole content. Throws Error with the system's reason.
std::string read_file(const fs::path& path);

/// Writes beside the target, syncs and renames: a crash leaves the old content or the new. Throws Error with the system's
/// reason.
void write_file(const fs::path& path, std::string_view content);
/// The same for content that comes in pieces, written one after the other.
void write_file_pieces(const fs::path& path, const std::vector<std::string_view>& pieces);

/// As write_file, for one of many files that sync_file_system makes last together: until then a crash of the machine, not of
/// the program, may leave it without its content.
void write_file_unsynced(const fs::path& path, std::string_view content);
/// Flushes all that was written to the file system where the path is. Throws Error with the system's reason.
void sync_file_system(const fs::path& path);

/// Writes over a file, which is made when it is missing, in its place: whoever reads meanwhile may see parts of both contents,
/// but on a file server everybody sees the new one at once, which a renaming does not promise. Throws Error with the system's
/// reason.
void overwrite_file(const fs::path& path, std::string_view content);

/// Renames, to a name that nobody else gives. A file server may do it, lose the answer and deny it when it is asked again: what
/// counts is where the file or folder is then. False with errno where it is not there.
bool move_path(const fs::path& from, const fs::path& to);

/// Adds to the end of a file, which is made when it is missing, all or nothing. Throws Error with the system's reason.
void append_file(const fs::path& path, std::string_view content);

/// Flushes a file or folder to disk. Throws Error with the system's reason; only a folder on a file system that cannot flush
/// folders is left as it is.
void sync_path(const fs::path& path);

/// A read-only mapping of a whole file; the bytes live as long as the object, also when the file is removed or replaced
/// meanwhile, and processes that map one file share its memory. A write into it is a fault. An empty file maps to nothing.
class MappedFile {
 public:
  /// Throws Error when the file is missing or unreadable.
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const unsigned char* data() const { return data_; }
  std::size_t size() const { return size_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  unsigned char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The folder of the running program: build/release/bin, or prefix/bin.
fs::path program_folder();
/// Data files that travel with the program: ../share/holdfast beside it.
fs::path share_folder();

}  // namespace holdfast
