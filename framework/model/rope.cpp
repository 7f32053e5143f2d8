#include "model/rope.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace holdfast {
namespace {

double scaled(double frequency, const RopeScaling& s) {
  if (s.type == RopeScaling::Type::kLinear) return frequency / s.factor;
  const double positions = static_cast<double>(s.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  // 0 below low_freq (scaled), 1 above high_freq (kept), linear between.
  const double keep =
      std::clamp((positions / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
  return (1 - keep) * frequency / s.factor + keep * frequency;
}

}  // namespace

std::vector<double> Rope::frequencies(std::int64_t head_width) const {
  std::vector<double> all;
  for (std::int64_t i = 0; i < head_width; i += 2) {
    const double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(head_width));
    all.push_back(scaling ? scaled(frequency, *scaling) : frequency);
  }
  return all;
}

// Every Llama-3 model has the same bands, and its slowest plane is scaled whole: only the factor is left to find.
RopeScaling llama3_scaling(const Rope& rope, const std::vector<double>& divisors, const std::string& source) {
  const auto head_width = static_cast<std::int64_t>(2 * divisors.size());
  RopeScaling scaling;
  scaling.factor = divisors.empty() ? 1 : divisors.back();
  const auto kept = Rope{rope.theta, std::nullopt}.frequencies(head_width);
  const auto turned = Rope{rope.theta, scaling}.frequencies(head_width);
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    if (scaling.factor >= 1 && std::abs(divisors[i] * turned[i] / kept[i] - 1) < 1e-3) continue;
    throw Error(source + ": rope_freqs.weight divides the frequency of plane " + std::to_string(i) + " by " +
                std::to_string(divisors[i]) + ", Llama-3 rotary scaling by " + std::to_string(scaling.factor) +
                " would divide it by " + std::to_string(kept[i] / turned[i]) +
                "; other scalings are not supported in GGUF files");
  }
  return scaling;
}

}  // namespace holdfast
