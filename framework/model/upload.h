// Indices on their way to the device of the weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

namespace holdfast {

/// Each list as a tensor (n) int64. They are carried to the device together, in one copy, and share that memory.
std::vector<at::Tensor> upload(std::initializer_list<std::reference_wrapper<const std::vector<std::int64_t>>> lists,
                               at::Device device);

}  // namespace holdfast
