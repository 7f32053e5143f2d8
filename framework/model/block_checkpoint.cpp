#include "model/block_checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/ivalue.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <utility>

namespace holdfast {
namespace {

using torch::autograd::variable_list;

// Nobody listens.
at::Tensor through(const Block& block, const ModelConfig& config, const at::Tensor& state, const Layout& layout) {
  return block(config, state, layout, std::nullopt, Sites{nullptr, 0, &layout.spans}, nullptr);
}

// What a block needs to run a second time: copies of its handles, for the decoder may be linked anew in between.
struct Again final : torch::CustomClassHolder {
  Again(const Block& b, const ModelConfig& c, const Layout& l) : block(b), config(c), layout(l) {}

  // With a graph from `state` on.
  at::Tensor run(const at::Tensor& state) const {
    const c10::AutoGradMode with_graph(true);
    return through(block, config, state, layout);
  }

  Block block;
  ModelConfig config;
  Layout layout;
};

// A tensor of its own on the same values, from which a graph may begin.
at::Tensor beginning(const at::Tensor& state, bool with_gradient) { return state.detach().requires_grad_(with_gradient); }

// The first pass records its graph too, and lets it go: which kernels run may depend on that, and the bits on the kernels.
struct CheckpointedBlock : torch::autograd::Function<CheckpointedBlock> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& state, const variable_list& trained,
                            c10::intrusive_ptr<Again> again) {
    variable_list saved = {state};
    saved.insert(saved.end(), trained.begin(), trained.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["again"] = c10::IValue::make_capsule(again);
    return again->run(beginning(state, state.requires_grad())).detach();
  }

  static variable_list backward(torch::autograd::AutogradContext* context, const variable_list& slopes) {
    variable_list inputs = context->get_saved_variables();
    inputs.front() = beginning(inputs.front(), context->needs_input_grad(0));
    const auto again = c10::static_intrusive_pointer_cast<Again>(context->saved_data["again"].toCapsule());
    variable_list wanted;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (context->needs_input_grad(i)) wanted.push_back(inputs[i]);
    }
    const variable_list found = torch::autograd::grad({again->run(inputs.front())}, wanted, slopes, /*retain_graph=*/false,
                                                      /*create_graph=*/false, /*allow_unused=*/true);
    variable_list gradients(inputs.size() + 1);  // the last stands for `again`
    for (std::size_t i = 0, next = 0; i < inputs.size(); ++i) {
      if (context->needs_input_grad(i)) gradients[i] = found[next++];
    }
    return gradients;
  }
};

}  // namespace

at::Tensor checkpointed(const Block& block, const ModelConfig& config, const at::Tensor& state, const Layout& layout) {
  variable_list trained;
  for (const auto& tensor : block.tensors(layout.spans)) {
    if (tensor.requires_grad()) trained.push_back(tensor);
  }
  if (!state.requires_grad() && trained.empty()) return through(block, config, state, layout);
  return CheckpointedBlock::apply(state, trained, c10::make_intrusive<Again>(block, config, layout));
}

}  // namespace holdfast
