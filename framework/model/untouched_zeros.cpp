#include "model/untouched_zeros.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <new>

namespace holdfast {

at::Tensor untouched_zeros(at::IntArrayRef shape, at::ScalarType type) {
  const at::TensorOptions options(type);
  const std::size_t bytes = static_cast<std::size_t>(c10::multiply_integers(shape)) * options.dtype().itemsize();
  if (bytes == 0) return at::empty(shape, options);
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  ::madvise(pages, bytes, MADV_NOHUGEPAGE);  // a row would take two megabytes
  return at::for_blob(pages, shape).deleter([bytes](void* begin) { ::munmap(begin, bytes); }).options(options).make_tensor();
}

}  // namespace holdfast
