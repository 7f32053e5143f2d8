#include "fuzz/fuzz.h"

#include <holdfast/error.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace holdfast::fuzz {
namespace {

int memory_file() {
  static const int descriptor = ::memfd_create("input", MFD_CLOEXEC);
  if (descriptor < 0) throw std::runtime_error("there is no memory for a file");
  return descriptor;
}

}  // namespace

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

void give(const Target& target, std::string_view input) {
  try {
    target.read(input);
  } catch (const Error& error) {
    expect(*error.what() != '\0', "an Error says what is wrong");
  }
}

const fs::path& as_file(std::string_view input) {
  static const fs::path path = "/proc/self/fd/" + std::to_string(memory_file());
  const bool written = ::ftruncate(memory_file(), 0) == 0 &&
                       ::pwrite(memory_file(), input.data(), input.size(), 0) == static_cast<ssize_t>(input.size());
  if (!written) throw std::runtime_error("the input does not fit into memory");
  return path;
}

void must(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    throw std::logic_error(error.what());
  }
}

void expect(bool holds, const char* what) {
  if (!holds) throw std::logic_error(std::string("this does not hold: ") + what);
}

}  // namespace holdfast::fuzz
