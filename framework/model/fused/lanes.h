// Float32 arithmetic in the widest registers that the processor has, for loops that libtorch would take several passes for.
#pragma once

#include <cstdint>
#include <cstring>

// Before a function: compiled for several processors, chosen when the program starts. Lambdas inside are not; what is called
// there must be inlined.
// The sanitizers have not begun when it is chosen.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HOLDFAST_WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HOLDFAST_WIDE
#endif
#define HOLDFAST_INLINE inline __attribute__((always_inline))

namespace holdfast::fused {

constexpr std::int64_t kLanes = 16;
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t IntegerLanes __attribute__((vector_size(64)));

// By reference throughout: vectors as arguments have no fixed calling convention.
HOLDFAST_INLINE void load(Lanes& to, const float* from) { to = *reinterpret_cast<const Lanes*>(from); }
HOLDFAST_INLINE void store(float* to, const Lanes& from) { *reinterpret_cast<Lanes*>(to) = from; }

/// The first `count` of them, at most all; what is missing is zero, or is not stored.
HOLDFAST_INLINE void load(Lanes& to, const float* from, std::int64_t count) {
  if (count >= kLanes) return load(to, from);
  to = Lanes{};
  std::memcpy(&to, from, static_cast<std::size_t>(count) * sizeof(float));
}
HOLDFAST_INLINE void store(float* to, const Lanes& from, std::int64_t count) {
  if (count >= kLanes) return store(to, from);
  std::memcpy(to, &from, static_cast<std::size_t>(count) * sizeof(float));
}

HOLDFAST_INLINE float sum_of(const Lanes& x) {
  float sum = 0;
  for (std::int64_t i = 0; i < kLanes; ++i) sum += x[i];
  return sum;
}
HOLDFAST_INLINE float greatest_of(const Lanes& x) {
  float greatest = x[0];
  for (std::int64_t i = 1; i < kLanes; ++i) greatest = x[i] > greatest ? x[i] : greatest;
  return greatest;
}

/// e^x to within 2 units of the last place; 0 below -87.3, e^88 above 88, NaN stays NaN. Cephes' polynomial (S. Moshier,
/// expf).
HOLDFAST_INLINE void exponential(Lanes& x) {
  constexpr float kLowest = -87.3F, kHighest = 88.0F, kRounding = 12582912.0F;  // 1.5 * 2^23: what is added loses its fraction
  const IntegerLanes vanished = x < kLowest;
  const Lanes bounded = x > kHighest ? Lanes{} + kHighest : x;
  const Lanes shifted = bounded * 1.44269504088896341F + kRounding;
  const Lanes whole = shifted - kRounding;
  const Lanes rest = (bounded - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Lanes sum = Lanes{} + 1.9875691500e-4F;
  sum = sum * rest + 1.3981999507e-3F;
  sum = sum * rest + 8.3334519073e-3F;
  sum = sum * rest + 4.1665795894e-2F;
  sum = sum * rest + 1.6666665459e-1F;
  sum = sum * rest + 5.0000001201e-1F;
  sum = sum * rest * rest + rest + 1.0F;
  IntegerLanes exponent;
  std::memcpy(&exponent, &shifted, sizeof(exponent));
  exponent = (exponent - 0x4B400000 + 127) << 23;
  Lanes power;
  std::memcpy(&power, &exponent, sizeof(power));
  x = vanished ? Lanes{} : sum * power;
}

}  // namespace holdfast::fused
