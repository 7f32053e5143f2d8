// Files that lie: built in memory, written to a temporary folder, and expected to be refused with one sentence.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"

namespace holdfast {

/// A folder of this test program's own, removed at its end.
class WeightFiles : public ::testing::Test {
 protected:
  WeightFiles() : folder_(fs::temp_directory_path() / ("holdfast_weights_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~WeightFiles() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& bytes) const {
    write_file(folder_ / name, bytes);
    return folder_ / name;
  }

  /// The message of the Error that `read` must throw.
  static std::string refusal(const std::function<void()>& read) {
    try {
      read();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  fs::path folder_;
};

/// The little-endian bytes of a number.
template <typename T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline fs::path weight_fixture(const std::string& name) {
  return fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/weights" / name;
}

}  // namespace holdfast
