#include "model/fused/greatest.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/fused/lanes.h"

namespace holdfast::fused {

// Two rounds: which value, then where it stands. What is no number equals nothing, itself included.
HOLDFAST_WIDE std::int64_t greatest_place(const float* row, std::int64_t size) {
  Lanes most{}, x, wrong{};
  most += row[0];
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    load(x, row + i);
    most = x > most ? x : most;
    wrong = x == x ? wrong : Lanes{} + 1.0F;
  }
  float greatest = greatest_of(most);
  bool numbers = sum_of(wrong) == 0 && row[0] == row[0];
  for (; i < size; ++i) {
    greatest = row[i] > greatest ? row[i] : greatest;
    numbers = numbers && row[i] == row[i];
  }
  for (std::int64_t place = 0; place < size; ++place) {
    if (numbers ? row[place] == greatest : row[place] != row[place]) return place;
  }
  return 0;  // not reached
}

at::Tensor greatest_places(const at::Tensor& given) {
  const at::Tensor x = given.contiguous();
  at::Tensor places = at::empty({x.size(0)}, at::kLong);
  at::parallel_for(0, x.size(0), 1,
                   [&, from = x.const_data_ptr<float>(), to = places.data_ptr<std::int64_t>()](auto row, auto last) {
                     for (; row < last; ++row) to[row] = greatest_place(from + row * x.size(1), x.size(1));
                   });
  return places;
}

}  // namespace holdfast::fused
