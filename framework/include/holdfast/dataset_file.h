// Rows that a user brings by path, pinned by their SHA-256.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The settings "data" and "sha256" of an attack that can take a user's own rows. A digest that does not fit the file, a digest
/// without a file, and, where kRequired, a file without a digest are noted as mistakes.
class DatasetFile {
 public:
  enum class Digest { kOptional, kRequired };
  DatasetFile(Params& params, Digest digest);

  bool given() const { return !path_.empty(); }
  /// The rows. Throws Error for a bad row, and when the file is no longer the one that was named.
  Dataset read() const;

 private:
  std::filesystem::path path_;
  std::string digest_;  // of the file when the settings were read
};

}  // namespace holdfast
