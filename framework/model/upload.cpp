#include "model/upload.h"

#include <ATen/ATen.h>

namespace holdfast {

std::vector<at::Tensor> upload(std::initializer_list<std::reference_wrapper<const std::vector<std::int64_t>>> lists,
                               at::Device device) {
  std::vector<std::int64_t> all, sizes;
  for (const std::vector<std::int64_t>& list : lists) {
    all.insert(all.end(), list.begin(), list.end());
    sizes.push_back(static_cast<std::int64_t>(list.size()));
  }
  return at::tensor(all, at::kLong).to(device).split_with_sizes(sizes);
}

}  // namespace holdfast
