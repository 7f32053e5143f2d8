// The form of an upload: what its fields say, and where its file begins and ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "service/multipart.h"

namespace holdfast {

struct UploadOrder {
  std::string purpose;
  std::string filename;
  bool announced = false;     // the form has no file: Together's client sends it afterwards
  std::string checksum = {};  // of a file that is announced, where it is said: its SHA-256
};

class UploadForm {
 public:
  /// `on_file` gets the file's bytes, of which at most `most` are taken (0: no limit).
  UploadForm(const std::string& content_type, std::int64_t most, std::function<void(std::string_view)> on_file);

  /// The next bytes of the body. Throws ApiError.
  void read(std::string_view bytes);
  /// What was asked for. Throws ApiError for what is missing.
  UploadOrder finish();

 private:
  void begin(const MultipartPart& part);
  void begin_field(const std::string& name);
  void take(std::string_view bytes);

  const std::int64_t most_;
  std::function<void(std::string_view)> on_file_;
  std::int64_t taken_ = 0;
  bool in_file_ = false;
  std::string field_;  // that is being read
  std::optional<std::string> filename_;
  std::map<std::string, std::string> fields_;  // by name
  MultipartReader reader_;
};

/// A purpose that files are taken for: "fine-tune". Throws ApiError for others.
void check_purpose(const std::string& purpose);
/// A file's name as customers may give it: what stands behind the last / or \, with no control characters, at most 255 bytes of
/// UTF-8. Throws ApiError.
std::string checked_filename(const std::string& name);

}  // namespace holdfast
