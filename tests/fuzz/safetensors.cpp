// The header of a safetensors file, and the bytes that it places tensors at.
#include "model/safetensors.h"

#include "fuzz/fuzz.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  for (const auto& [name, tensor] : read_safetensors(as_file(input)).tensors) {
    expect(tensor.nbytes() <= input.size(), "a tensor is no larger than its file");
    if (tensor.nbytes() == 0) continue;
    const auto* bytes = static_cast<const volatile unsigned char*>(tensor.data_ptr());
    (void)bytes[0], (void)bytes[tensor.nbytes() - 1];
  }
}

const Added added("safetensors", read);

}  // namespace
}  // namespace holdfast::fuzz
