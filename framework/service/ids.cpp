#include "service/ids.h"

#include <holdfast/error.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace holdfast {
namespace {

constexpr std::size_t kLength = 24;
constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

unsigned char random_byte() {
  unsigned char byte = 0;
  while (::getrandom(&byte, 1, 0) != 1) {
    if (errno != EINTR) throw Error(std::string("the system gives no random numbers: ") + std::strerror(errno));
  }
  return byte;
}

// Each as likely as the others: bytes beyond the last whole round of letters are drawn again.
char random_letter() {
  constexpr std::size_t kRounds = 256 / kLetters.size() * kLetters.size();
  std::size_t byte = random_byte();
  while (byte >= kRounds) byte = random_byte();
  return kLetters[byte % kLetters.size()];
}

}  // namespace

std::string new_id(const std::string& prefix) {
  std::string id = prefix;
  std::generate_n(std::back_inserter(id), kLength, random_letter);
  return id;
}

bool is_id(const std::string& text, const std::string& prefix) {
  return text.size() == prefix.size() + kLength && text.starts_with(prefix) &&
         text.find_first_not_of(kLetters, prefix.size()) == std::string::npos;
}

}  // namespace holdfast
