// Numbers in 8 bits, block by block (Dettmers et al. 2021, arXiv 2110.02861).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace holdfast {

/// How many numbers share one scale.
inline constexpr std::int64_t kCodeBlock = 256;

/// The 256 values of a code in ascending order, float32: zero, one and, for each decade from 10^-6 to 10^0, the middles of
/// equal parts of [0.1, 1] times it; with signs 1, 2, 4, ... 64 parts and their negatives, without 2, 4, 8, ... 128 parts.
at::Tensor code_values(bool with_sign);

/// Numbers of one shape as codes: value = code's value times the greatest magnitude of its block. A value with a sign is off by
/// at most 0.71 % of that magnitude (half a part of the widest decade), one without by 0.36 %. Begins as zeros.
class EightBit {
 public:
  EightBit(std::int64_t numbers, bool with_sign, at::Device device);

  /// Numbers [first, first + count) as float32; first is a multiple of kCodeBlock.
  at::Tensor read(std::int64_t first, std::int64_t count) const;
  /// The nearest codes of these numbers, (count), the same of each block whatever else is written. Without a sign a positive
  /// number never becomes zero: a square that did would leave its weight a step without bound.
  void write(std::int64_t first, const at::Tensor& numbers);

  /// Eight codes in an int64, as files hold them, and a scale a block: the tensors in use.
  at::Tensor codes() const { return codes_; }
  at::Tensor scales() const { return scales_; }

 private:
  at::Tensor part(std::int64_t first, std::int64_t blocks) const;

  at::Tensor codes_, scales_;
  at::Tensor values_, borders_;  // of the code; between two values next to each other
  bool with_sign_;
};

}  // namespace holdfast
