// Digests of model checkpoints, remembered across processes.
#pragma once

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// checkpoint_digest of big files takes seconds; a checkpoint whose files kept path, size and time keeps its digest. Remembered
/// in checkpoints.json of the store.
class DigestMemory {
 public:
  explicit DigestMemory(const fs::path& store);
  std::string checkpoint(const std::string& source);

 private:
  fs::path file_;
  Json known_ = Json::object();
};

/// Bytes of a checkpoint's files, which estimates of time grow with.
std::uint64_t checkpoint_bytes(const std::string& source);

}  // namespace holdfast
