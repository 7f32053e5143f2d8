#include "model/kernels/usable.h"

namespace holdfast {

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512) usable.push_back(&kAvx512Kernels);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) usable.push_back(&kAvx2Kernels);
#endif
  usable.push_back(&kPlainKernels);
  return usable;
}

const Kernels& kernels() {
  static const Kernels& chosen = *usable_kernels().front();
  return chosen;
}

}  // namespace holdfast
