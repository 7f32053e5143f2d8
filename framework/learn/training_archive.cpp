#include "learn/training_archive.h"

#include <ATen/ATen.h>

namespace holdfast {

void ArchiveWriter::operator()(const std::string& name, at::Tensor& value) {
  if (value.defined()) kept_[prefix_ + name] = value.detach().clone();
}

void ArchiveReader::operator()(const std::string& name, at::Tensor& value) {
  const auto found = kept_.find(prefix_ + name);
  value = found == kept_.end() ? at::Tensor() : found->second.clone();
}

}  // namespace holdfast
