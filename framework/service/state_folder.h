// Where a service keeps what its customers left with it, so that it is there again after it was killed.
//
//   lock                              who serves it
//   service.json                      since when
//   uploads/                          files on their way
//   contents/<SHA-256>                files, each once
//   customers/<name>/files/<id>.json  a file object
//   customers/<name>/jobs/<id>.json   a job
//   customers/<name>/events/<id>.jsonl
//   customers/<name>/spend.jsonl
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

class StateFolder {
 public:
  /// Makes what is missing and locks it. Throws Error where another server has it, or it cannot be written.
  StateFolder(fs::path root, const std::vector<std::string>& customers);
  ~StateFolder();
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;

  /// When it was made, in seconds of Unix time.
  std::int64_t created() const { return created_; }
  fs::path files(const std::string& customer) const { return of(customer) / "files"; }
  fs::path jobs(const std::string& customer) const { return of(customer) / "jobs"; }
  fs::path events(const std::string& customer, const std::string& job) const {
    return of(customer) / "events" / (job + ".jsonl");
  }
  fs::path spend(const std::string& customer) const { return of(customer) / "spend.jsonl"; }
  /// A name in uploads/ that nobody has.
  fs::path upload() const;
  fs::path contents() const { return root_ / "contents"; }
  fs::path content(const std::string& digest) const { return contents() / digest; }

 private:
  fs::path of(const std::string& customer) const { return root_ / "customers" / customer; }

  fs::path root_;
  int lock_ = -1;
  std::int64_t created_ = 0;
};

/// Each object of a folder, in files "<id>.json" whose id begins so; what is no such file, or cannot be read, is passed over
/// with a warning.
void each_object(const fs::path& folder, const std::string& prefix, const std::function<void(const Json&)>& visit);

/// The lines of a file; torn ones are passed over, and no later line is added to one. Empty where there is no such file.
std::vector<Json> whole_lines(const fs::path& path);

/// Seconds of Unix time.
std::int64_t unix_seconds();

}  // namespace holdfast
