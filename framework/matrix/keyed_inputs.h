// What was read is what was keyed. A stage's key holds the digests of files that were read when the matrix was planned; the
// stage reads them again, maybe hours later, in another process.
#pragma once

#include <holdfast/error.h>

#include "base/file.h"
#include "base/json.h"
#include "matrix/stages.h"

namespace holdfast {

/// Throws Error for the first file whose content is no longer that of its digest, wherever {"location", "digest"} stands in
/// `task`: data, plugin libraries, files that settings name.
void check_inputs(const Json& task);

/// The same for all that a stage reads from outside the store, checkpoints of models too. Files that kept size and time are not
/// read again.
void check_inputs(const StageRequest& request, const Store& store);

/// A file that changed. Whoever meets it may keep in memory what was read of it in between, weights or a library's code: a
/// worker is replaced.
class InputChanged final : public Error {
 public:
  explicit InputChanged(const fs::path& path);
};

}  // namespace holdfast
