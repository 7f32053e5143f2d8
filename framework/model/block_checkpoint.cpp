#include "model/block_checkpoint.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <vector>

namespace holdfast {
namespace {

using torch::autograd::variable_list;

// Nobody listens.
at::Tensor through(const Block& block, const ModelConfig& config, const at::Tensor& state, const Layout& layout) {
  return block(config, state, layout, std::nullopt, Sites{nullptr, 0, &layout.spans}, nullptr);
}

// A tensor of its own on the same values, from which a graph may begin.
at::Tensor beginning(const at::Tensor& state, bool with_gradient) { return state.detach().requires_grad_(with_gradient); }

// A block that ran, as one node of the graph: its inputs are the state and the trained tensors. It holds copies of the block's
// handles, for the decoder may be linked anew before it runs again.
class BlockThatRan final : public torch::autograd::Node {
 public:
  BlockThatRan(const Block& block, const ModelConfig& config, const Layout& layout, const variable_list& inputs)
      : block_(block), config_(config), layout_(layout) {
    for (const auto& input : inputs) inputs_.emplace_back(input, /*is_output=*/false);
    set_next_edges(torch::autograd::collect_next_edges(inputs));
  }

  // With a graph from `state` on, the first time too: which kernels run may depend on that, and the bits on the kernels.
  at::Tensor run(const at::Tensor& state) const {
    const c10::AutoGradMode with_graph(true);
    return through(block_, config_, state, layout_);
  }

  variable_list apply(variable_list&& slopes) override {
    variable_list inputs, wanted, gradients(inputs_.size());
    for (const auto& input : inputs_) inputs.push_back(input.unpack());
    inputs.front() = beginning(inputs.front(), task_should_compute_output(0));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (task_should_compute_output(i)) wanted.push_back(inputs[i]);
    }
    if (wanted.empty() || !slopes.front().defined()) return gradients;
    const variable_list found = torch::autograd::grad({run(inputs.front())}, wanted, slopes, /*retain_graph=*/false,
                                                      /*create_graph=*/false, /*allow_unused=*/true);
    for (std::size_t i = 0, next = 0; i < inputs.size(); ++i) {
      if (task_should_compute_output(i)) gradients[i] = found[next++];
    }
    return gradients;
  }

  void release_variables() override {
    for (auto& input : inputs_) input.reset_data();
  }

 private:
  Block block_;
  ModelConfig config_;
  Layout layout_;
  std::vector<torch::autograd::SavedVariable> inputs_;
};

}  // namespace

at::Tensor checkpointed(const Block& block, const ModelConfig& config, const at::Tensor& state, const Layout& layout) {
  variable_list inputs = {state};
  for (const auto& tensor : block.tensors(layout.spans)) {
    if (tensor.requires_grad()) inputs.push_back(tensor);
  }
  if (!state.requires_grad() && inputs.size() == 1) return through(block, config, state, layout);
  const std::shared_ptr<BlockThatRan> node(new BlockThatRan(block, config, layout, inputs), torch::autograd::deleteNode);
  at::Tensor made = node->run(beginning(state, state.requires_grad())).detach();
  torch::autograd::set_history(made, node);
  return made;
}

}  // namespace holdfast
