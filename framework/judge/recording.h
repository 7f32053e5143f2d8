// Answers of a judge model in a file, so that none is paid for twice and a run can be repeated without the model.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "judge/answer.h"

namespace holdfast {

/// One JSON line an answer: {"answer", "model", "request", "usage"}, "request" being the SHA-256 of the request's JSON body.
/// Several processes may add to one file at a time; of two answers to one request the first line counts, for all of them.
/// A line that a crash tore is passed over.
class Recording {
 public:
  explicit Recording(fs::path path) : path_(std::move(path)) {}

  /// Looks at what others have added meanwhile before it says no. Throws Error when the file is something else.
  std::optional<Answer> find(const std::string& request);
  /// Adds the answer, unless there is one already; gives the one that counts. Throws Error with the system's reason.
  Answer add(const std::string& request, const std::string& model, const Answer& answer);

 private:
  void read_on();
  void read_line(const std::string& line);

  fs::path path_;
  std::uintmax_t read_ = 0;  // bytes of whole lines that have been read
  std::size_t lines_ = 0;
  std::map<std::string, Answer> answers_;
};

}  // namespace holdfast
