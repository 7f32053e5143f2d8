// Random numbers that depend on a seed and a stream name only: not on threads, order of calls elsewhere, or platform.
#pragma once

#include <holdfast/visibility.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// A seed of its own for a named use ("data", "init", "order", "sampling", ...), derived from one scenario seed.
std::uint64_t derive_seed(std::uint64_t seed, std::string_view stream);

/// Counter-based generator, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
/// The n-th number is a pure function of (seed, n).
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t counter = 0) : seed_(seed), counter_(counter) {}

  /// 32 uniform bits.
  std::uint32_t bits();
  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [0, n), without modulo bias; n > 0.
  std::uint64_t below(std::uint64_t n);

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_;  // counts single 32-bit outputs
  std::uint32_t block_[4] = {};
  bool filled_ = false;
};

}  // namespace holdfast
