#include <holdfast/error.h>
#include <holdfast/random.h>

#include <array>
#include <string>

#include "base/digest.h"

namespace holdfast {
namespace {

// One block of Philox4x32 with ten rounds; multipliers and Weyl constants are the paper's.
std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t index) {
  std::array<std::uint32_t, 4> x = {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0};
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ULL * x[0];
    const std::uint64_t p1 = 0xCD9E8D57ULL * x[2];
    x = {static_cast<std::uint32_t>(p1 >> 32) ^ x[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ x[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return x;
}

}  // namespace

std::uint64_t derive_seed(std::uint64_t seed, std::string_view stream) {
  const std::string digest = sha256(std::to_string(seed) + "/" + std::string(stream));
  return std::stoull(digest.substr(0, 16), nullptr, 16);
}

std::uint32_t Random::bits() {
  const std::uint64_t lane = counter_ % 4;
  if (lane == 0 || !filled_) {
    const auto block = philox(seed_, counter_ / 4);
    for (int i = 0; i < 4; ++i) block_[i] = block[i];
    filled_ = true;
  }
  ++counter_;
  return block_[lane];
}

double Random::uniform() {
  const std::uint64_t high = bits();
  const std::uint64_t low = bits();
  return static_cast<double>((high << 21) ^ (low >> 11)) * 0x1.0p-53;
}

std::uint64_t Random::below(std::uint64_t n) {
  HOLDFAST_CHECK(n > 0);
  const std::uint64_t threshold = (0 - n) % n;  // values under it would be hit once too often
  for (;;) {
    const std::uint64_t high = bits();
    const std::uint64_t value = (high << 32) | bits();
    if (value >= threshold) return value % n;
  }
}

}  // namespace holdfast
