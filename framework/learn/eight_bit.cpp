#include "learn/eight_bit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace holdfast {
namespace {

constexpr int kDecades = 7;

std::int64_t blocks_of(std::int64_t numbers) { return (numbers + kCodeBlock - 1) / kCodeBlock; }

}  // namespace

at::Tensor code_values(bool with_sign) {
  std::vector<double> values = {0, 1};
  for (int decade = 0; decade < kDecades; ++decade) {
    const int parts = 1 << (with_sign ? decade : decade + 1);
    for (int part = 0; part < parts; ++part) {
      const double middle = 0.1 + 0.9 * (part + 0.5) / parts;
      const double value = middle * std::pow(10.0, decade - kDecades + 1);
      values.push_back(value);
      if (with_sign) values.push_back(-value);
    }
  }
  std::sort(values.begin(), values.end());
  return at::tensor(values, at::kDouble).to(at::kFloat);
}

EightBit::EightBit(std::int64_t numbers, bool with_sign, at::Device device)
    : codes_(at::zeros({blocks_of(numbers) * kCodeBlock / 8}, at::TensorOptions(at::kLong).device(device))),
      scales_(at::zeros({blocks_of(numbers)}, at::TensorOptions(at::kFloat).device(device))),
      values_(code_values(with_sign).to(device)),
      borders_((values_.slice(0, 1) + values_.slice(0, 0, -1)) / 2),
      with_sign_(with_sign) {}

// The codes of some blocks, (blocks, kCodeBlock) bytes, in place.
at::Tensor EightBit::part(std::int64_t first, std::int64_t blocks) const {
  return codes_.view(at::kByte).narrow(0, first, blocks * kCodeBlock).view({blocks, kCodeBlock});
}

at::Tensor EightBit::read(std::int64_t first, std::int64_t count) const {
  const std::int64_t blocks = blocks_of(count);
  const at::Tensor values = values_.index({part(first, blocks).to(at::kLong)});
  return (values * scales_.narrow(0, first / kCodeBlock, blocks).unsqueeze(1)).view(-1).narrow(0, 0, count);
}

void EightBit::write(std::int64_t first, const at::Tensor& numbers) {
  const std::int64_t count = numbers.numel(), blocks = blocks_of(count);
  at::Tensor padded = numbers;
  if (count < blocks * kCodeBlock) padded = at::constant_pad_nd(numbers, {0, blocks * kCodeBlock - count});
  padded = padded.view({blocks, kCodeBlock});
  const at::Tensor scales = padded.abs().amax(1);
  scales_.narrow(0, first / kCodeBlock, blocks).copy_(scales);
  const at::Tensor shares = padded / at::where(scales > 0, scales, at::ones_like(scales)).unsqueeze(1);
  at::Tensor codes = at::bucketize(shares, borders_, /*out_int32=*/true);
  if (!with_sign_) codes = at::where((padded > 0).logical_and(codes == 0), at::ones_like(codes), codes);
  part(first, blocks).copy_(codes);
}

}  // namespace holdfast
