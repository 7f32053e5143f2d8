// Draws from worlds whose truth is known.
#pragma once

#include <holdfast/random.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>

namespace holdfast {

/// A standard normal deviate.
inline double normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

/// The probability of a smaller one.
inline double phi(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// The share of worlds in which `test` says yes.
inline double share(int worlds, std::uint64_t seed, const std::function<bool(Random&)>& test) {
  Random random(seed);
  int yes = 0;
  for (int i = 0; i < worlds; ++i) yes += test(random);
  return static_cast<double>(yes) / worlds;
}

}  // namespace holdfast
