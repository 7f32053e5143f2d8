#include <holdfast/dataset.h>
#include <holdfast/error.h>

#include <algorithm>

#include "base/digest.h"
#include "data/formats.h"

namespace holdfast {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

DatasetFile::DatasetFile(Params& params, Digest digest)
    : path_(params.file("data", "the customer's rows from a JSONL or JSON file")) {
  const bool required = digest == Digest::kRequired;
  const std::string pinned =
      lower_case(params.text("sha256", "", std::string("SHA-256 of the `data` file") + (required ? "; required with it" : "")));
  if (!given()) {
    if (!pinned.empty()) params.mistake("sha256", "setting \"sha256\" is given without a readable \"data\" file to check");
    return;
  }
  digest_ = sha256_file(path_);
  if (required && pinned.empty()) {
    params.mistake("data", "setting \"data\" needs \"sha256\" beside it; the file's is " + digest_);
  } else if (!pinned.empty() && pinned != digest_) {
    params.mistake("sha256", path_.string() + " has SHA-256 " + digest_ + ", the scenario expects " + pinned +
                                 ": bring the file that was meant, or correct \"sha256\"");
  }
}

Dataset DatasetFile::read() const {
  const std::string now = sha256_file(path_);
  if (now != digest_) {
    throw Error(path_.string() + " has changed since the scenario was read: its SHA-256 was " + digest_ + " and is " + now +
                "; run again");
  }
  return read_dataset(path_);
}

}  // namespace holdfast
