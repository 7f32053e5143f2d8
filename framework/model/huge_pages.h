// Memory that is read over and over.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast {

/// Asks for large pages under a new tensor that nothing was written into, where the kernel gives them on request: products that
/// wait for memory look up fewer addresses. For what is kept and read again and again alone: the first touch of a large page
/// costs more, many times more where a host has to give a virtual machine the memory first.
void prefer_huge_pages(const at::Tensor& tensor);

}  // namespace holdfast
