// The files of customers. Equal contents lie once on disk, for as long as a file or a job that has not ended has them.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "remote/upload.h"
#include "service/customers.h"
#include "service/records.h"
#include "service/state_folder.h"

namespace holdfast {

/// For any thread.
class Files {
 public:
  Files(const StateFolder& folder, const Customers& customers);

  /// An id that no file has.
  static std::string new_file_id();
  /// Keeps what was uploaded, by the id if one is given. Throws ApiError where the customer has as many files as he may have.
  FileRecord add(const Customer& customer, Upload& upload, const std::string& filename, const std::string& purpose,
                 std::int64_t rows, const std::string& id = "");
  /// A file that the service makes for him; it counts for no limit.
  FileRecord add(const std::string& customer, const std::string& content, const std::string& filename,
                 const std::string& purpose);
  /// Throws ApiError (404), naming `param`, where the customer has none of that id.
  FileRecord find(const std::string& customer, const std::string& id, const std::string& param = "") const;
  /// Newest first.
  std::vector<FileRecord> list(const std::string& customer) const;
  /// Throws ApiError (404).
  void remove(const std::string& customer, const std::string& id);
  /// Where a file's content lies.
  fs::path content(const FileRecord& file) const { return folder_.content(file.digest); }

  /// Keeps a content until it is released as often.
  void hold(const std::string& digest);
  void release(const std::string& digest);
  /// Once all that was kept before is held: removes what nobody has.
  void sweep();

 private:
  FileRecord keep(const std::string& customer, Upload& upload, FileRecord file);
  std::int64_t uploads_of(const std::string& customer) const;
  void release_locked(const std::string& digest);

  const StateFolder& folder_;
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, FileRecord>> files_;  // by customer and id
  std::map<std::string, std::int64_t> holders_;                     // of each content
};

}  // namespace holdfast
