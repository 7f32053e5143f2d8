#include "model/passes.h"

#include <ATen/ATen.h>

#include <atomic>

namespace holdfast {
namespace {

std::atomic<double> forward_tokens{0}, backward_tokens{0};

}  // namespace

Passes passes_so_far() { return {forward_tokens, backward_tokens}; }

void count_pass(const at::Tensor& state, std::int64_t tokens, double share) {
  const double passed = static_cast<double>(tokens) * share;
  forward_tokens += passed;
  if (!state.requires_grad()) return;
  state.register_hook([passed](const at::Tensor&) { backward_tokens += passed; });
}

}  // namespace holdfast
