// A form's parts, told one after the other while the body comes, and never kept. cpp-httplib has such a reader, which matches
// each part's head by a regular expression, on the stack.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace holdfast {

/// The boundary that a Content-Type names. Throws ApiError for one that is no multipart/form-data, or names none.
std::string multipart_boundary(const std::string& content_type);

struct MultipartPart {
  std::string name;
  std::string filename = {};
  bool is_file = false;  // it has a file name, be it empty
};

class MultipartReader {
 public:
  using OnPart = std::function<void(const MultipartPart&)>;
  using OnData = std::function<void(std::string_view)>;
  /// Calls on_part where a part begins, and on_data with what it holds, piece by piece.
  MultipartReader(const std::string& boundary, OnPart on_part, OnData on_data);

  /// The next bytes of the body. Throws ApiError for what is no form, and what the callbacks throw.
  void read(std::string_view bytes);
  /// The body ended. Throws ApiError where the form did not.
  void finish() const;

 private:
  enum class Where { kPreamble, kBoundary, kHead, kData, kEnd };
  bool step();
  bool skip_preamble();
  bool pass_boundary();
  bool read_head();
  bool read_data();

  const std::string delimiter_;  // "\r\n--boundary"
  OnPart on_part_;
  OnData on_data_;
  Where where_ = Where::kPreamble;
  int parts_ = 0;
  std::string buffer_ = "\r\n";  // so that the first boundary is as the others
};

}  // namespace holdfast
