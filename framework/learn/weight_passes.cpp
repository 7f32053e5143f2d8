#include "learn/weight_passes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <vector>

namespace holdfast {
namespace {

constexpr std::int64_t kWorthThread = 1 << 16;  // weights

bool is_plain(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.is_cpu() && tensor.scalar_type() == type && tensor.is_contiguous();
}

// Bits: of a number; exponent: those that are all set in an infinity and in what is no number.
template <typename Bits>
bool finite_bits(const at::Tensor& tensor, Bits exponent) {
  const auto* const bits = static_cast<const Bits*>(tensor.const_data_ptr());
  std::atomic<bool> finite = true;
  at::parallel_for(0, tensor.numel(), kWorthThread, [&](std::int64_t first, std::int64_t last) {
    Bits most = 0;
    for (std::int64_t i = first; i < last; ++i) most = std::max<Bits>(most, bits[i] & exponent);
    if (most == exponent) finite = false;
  });
  return finite;
}

// Sums side by side, which the compiler adds in one instruction.
class Lanes {
 public:
  void add(std::size_t lane, double value) { sums_[lane] += value * value; }
  double sum() const {
    double all = 0;
    for (const double each : sums_) all += each;
    return all;
  }
  static constexpr std::size_t kCount = 8;

 private:
  std::array<double, kCount> sums_ = {};
};

SquareNorms square_norms_of_block(const float* before, const float* after, std::int64_t count) {
  Lanes of_before, of_between;
  const auto add = [&](std::int64_t i, std::size_t lane) {
    of_before.add(lane, before[i]);
    of_between.add(lane, after[i] - before[i]);
  };
  constexpr auto lanes = static_cast<std::int64_t>(Lanes::kCount);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane < Lanes::kCount; ++lane) add(i + static_cast<std::int64_t>(lane), lane);
  }
  for (; i < count; ++i) add(i, 0);
  return {of_before.sum(), of_between.sum()};
}

double square_norm(const at::Tensor& tensor) {
  const double norm = at::linalg_vector_norm(tensor.to(at::kFloat), 2, {}, false, at::kDouble).item<double>();
  return norm * norm;
}

}  // namespace

bool all_finite(const at::Tensor& tensor) {
  if (is_plain(tensor, at::kBFloat16)) return finite_bits<std::uint16_t>(tensor, 0x7F80);
  if (is_plain(tensor, at::kFloat)) return finite_bits<std::uint32_t>(tensor, 0x7F800000);
  return at::isfinite(tensor).all().item<bool>();
}

at::Tensor rounded_difference(const at::Tensor& before, const at::Tensor& after) {
  if (!is_plain(before, at::kFloat) || !is_plain(after, at::kFloat)) {
    return (after.to(at::kFloat) - before.to(at::kFloat)).to(at::kBFloat16).cpu().contiguous();
  }
  at::Tensor made = at::empty(after.sizes(), at::kBFloat16);
  const float *const from = before.const_data_ptr<float>(), *const to = after.const_data_ptr<float>();
  auto* const out = made.mutable_data_ptr<at::BFloat16>();
  at::parallel_for(0, after.numel(), kWorthThread, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) out[i] = static_cast<at::BFloat16>(to[i] - from[i]);
  });
  return made;
}

void add_difference(at::Tensor& weight, const at::Tensor& difference) {
  if (!is_plain(weight, at::kFloat) || !is_plain(difference, at::kBFloat16)) {
    weight.copy_(weight.to(at::kFloat) + difference.to(weight.device(), at::kFloat));
    return;
  }
  auto* const to = weight.mutable_data_ptr<float>();
  const auto* const bits = static_cast<const std::uint16_t*>(difference.const_data_ptr());
  at::parallel_for(0, weight.numel(), kWorthThread, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) to[i] += std::bit_cast<float>(static_cast<std::uint32_t>(bits[i]) << 16);
  });
}

SquareNorms square_norms(const at::Tensor& before, const at::Tensor& after) {
  if (!is_plain(before, at::kFloat) || !is_plain(after, at::kFloat)) {
    return {square_norm(before), square_norm(after.to(at::kFloat) - before.to(at::kFloat))};
  }
  const std::int64_t count = before.numel(), blocks = (count + kWorthThread - 1) / kWorthThread;
  std::vector<SquareNorms> parts(static_cast<std::size_t>(blocks));
  const float *const from = before.const_data_ptr<float>(), *const to = after.const_data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t begin = block * kWorthThread;
      parts[static_cast<std::size_t>(block)] =
          square_norms_of_block(from + begin, to + begin, std::min(kWorthThread, count - begin));
    }
  });
  SquareNorms sums;
  for (const auto& part : parts) {
    sums.before += part.before;
    sums.between += part.between;
  }
  return sums;
}

}  // namespace holdfast
