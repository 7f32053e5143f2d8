#include "model/mapped_tensor.h"

#include <ATen/ops/from_blob.h>

namespace holdfast {
namespace {

// The mapping's own end, by which its tensors are known.
void let_go(void* mapping) { delete static_cast<std::shared_ptr<MappedFile>*>(mapping); }

}  // namespace

at::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, const unsigned char* data, at::IntArrayRef shape,
                         at::ScalarType type) {
  return at::for_blob(const_cast<unsigned char*>(data), shape)
      .context(new std::shared_ptr<MappedFile>(file), let_go)
      .options(at::TensorOptions(type))
      .make_tensor();
}

bool lies_in_file(const at::Tensor& tensor) {
  return tensor.has_storage() && tensor.storage().data_ptr().get_deleter() == &let_go;
}

}  // namespace holdfast
