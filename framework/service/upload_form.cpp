#include "service/upload_form.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/json.h"
#include "service/api_error.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestField = 1 << 10, kLongestFilename = 255;

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

ApiError too_large(std::int64_t most) {
  return {.status = 413,
          .message = "the file has more than the " + std::to_string(most) + " bytes that one may have here",
          .param = "file",
          .code = "file_too_large"};
}

}  // namespace

UploadForm::UploadForm(const std::string& content_type, std::int64_t most, std::function<void(std::string_view)> on_file)
    : most_(most),
      on_file_(std::move(on_file)),
      reader_(
          multipart_boundary(content_type), [this](const MultipartPart& part) { begin(part); },
          [this](std::string_view bytes) { take(bytes); }) {}

void UploadForm::read(std::string_view bytes) { reader_.read(bytes); }

void UploadForm::begin(const MultipartPart& part) {
  in_file_ = part.name == "file";
  if (!in_file_) return begin_field(part.name);
  if (filename_) throw wrong_field("file", "the form has two files, expected one");
  if (!part.is_file) throw wrong_field("file", "\"file\" of the form has no file name, expected a file");
  filename_ = checked_filename(part.filename);
}

void UploadForm::begin_field(const std::string& name) {
  static const std::set<std::string> kKnown = {"purpose", "file_name", "file_type", "checksum"};
  const std::string shown = name.substr(0, 64);
  if (name.starts_with("expires_after")) {
    throw wrong_field("expires_after", "\"expires_after\" is not served here: files stay until they are deleted",
                      "unsupported_parameter");
  }
  if (!kKnown.contains(name)) {
    throw wrong_field(shown, "the form has the field " + in_quotes(shown) + ", which is not known here: leave it out",
                      "unknown_parameter");
  }
  if (!fields_.emplace(name, "").second)
    throw wrong_field(shown, "the form has " + in_quotes(shown) + " twice, expected it once");
  field_ = name;
}

void UploadForm::take(std::string_view bytes) {
  if (in_file_) {
    taken_ += static_cast<std::int64_t>(bytes.size());
    if (most_ > 0 && taken_ > most_) throw too_large(most_);
    return on_file_(bytes);
  }
  std::string& value = fields_.at(field_);
  if (value.size() + bytes.size() > kLongestField) throw wrong_field(field_, "\"" + field_ + "\" is too long");
  value += bytes;
}

UploadOrder UploadForm::finish() {
  reader_.finish();
  if (!fields_.contains("purpose")) {
    throw wrong_field("purpose", "the form has no \"purpose\", expected \"fine-tune\"", "missing_field");
  }
  check_purpose(fields_["purpose"]);
  UploadOrder order{fields_["purpose"], filename_.value_or("")};
  if (!filename_ && !fields_.contains("file_name"))
    throw wrong_field("file", "the form has no \"file\", expected one", "missing_field");
  if (filename_) {
    for (const char* name : {"file_name", "file_type", "checksum"}) {
      if (fields_.contains(name))
        throw wrong_field(name, "\"" + std::string(name) + "\" goes with a form that has no \"file\"");
    }
    return order;
  }
  order.announced = true;
  order.filename = checked_filename(fields_["file_name"]);
  order.checksum = fields_["checksum"];
  if (const std::string& type = fields_["file_type"]; type != "jsonl" && !type.empty()) {
    throw wrong_field("file_type", "\"file_type\" is " + in_quotes(type) + ", expected \"jsonl\"", "unsupported_parameter");
  }
  return order;
}

void check_purpose(const std::string& purpose) {
  if (purpose == "fine-tune") return;
  throw wrong_field("purpose",
                    "the purpose is " + in_quotes(purpose) + ", expected \"fine-tune\": files are kept for nothing else",
                    "unsupported_parameter");
}

std::string checked_filename(const std::string& name) {
  const std::string last = name.substr(name.find_last_of("/\\") + 1);  // npos + 1 is 0
  const bool control = std::any_of(last.begin(), last.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
  if (!last.empty() && last.size() <= kLongestFilename && !control && is_utf8(last)) return last;
  throw wrong_field("file",
                    "the file's name is " + in_quotes(name) + ", expected 1 to 255 bytes of UTF-8 without control characters");
}

}  // namespace holdfast
