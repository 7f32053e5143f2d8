// Tensors that lie in a mapped file.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/file.h"

namespace holdfast {

/// The tensor whose values begin at `data` in the file, which lives as long as the tensor. It is to be read: a write into it is
/// a fault, and processes that map one file share its memory.
at::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, const unsigned char* data, at::IntArrayRef shape,
                         at::ScalarType type);

/// Whether a tensor, or what it is a view of, is one of those.
bool lies_in_file(const at::Tensor& tensor);

}  // namespace holdfast
