#include "learn/kl.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/decoder.h"

namespace holdfast {
namespace {

at::Tensor log_shares(const Predictor& predictor, std::int64_t first, std::int64_t rows) {
  const at::Tensor logits = logits_of(predictor.states.narrow(0, first, rows), predictor.head, predictor.logit_cap);
  return at::log_softmax(logits.to(at_least_float32(logits)), -1);
}

at::Tensor kl_of_rows(const Predictor& own, const Predictor& reference, std::int64_t first, std::int64_t rows) {
  const at::Tensor wanted = [&] {
    const c10::NoGradGuard no_grad;
    return log_shares(reference, first, rows);
  }();
  return (wanted.exp() * (wanted - log_shares(own, first, rows))).sum(-1);
}

struct ChunkedKl : torch::autograd::Function<ChunkedKl> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& states, const at::Tensor& head,
                            double cap, const at::Tensor& reference_states, const at::Tensor& reference_head,
                            double reference_cap, std::int64_t values) {
    context->save_for_backward({states, head, reference_states, reference_head});
    context->saved_data["cap"] = cap;
    context->saved_data["reference_cap"] = reference_cap;
    context->saved_data["values"] = values;
    const Predictor own{states, head, cap}, reference{reference_states, reference_head, reference_cap};
    at::Tensor out = at::empty({states.size(0)}, states.options().dtype(at_least_float32(states)));
    by_chunks(own, values, [&](std::int64_t first, std::int64_t rows) {
      out.narrow(0, first, rows).copy_(kl_of_rows(own, reference, first, rows));
    });
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    const auto saved = context->get_saved_variables();
    const Predictor reference{saved[2], saved[3], context->saved_data["reference_cap"].toDouble()};
    Predictor own{saved[0].detach(), saved[1].detach(), context->saved_data["cap"].toDouble()};
    const std::int64_t values = context->saved_data["values"].toInt();
    std::vector<at::Tensor> wanted, made;
    for (const auto place : {std::size_t{0}, std::size_t{1}}) {
      if (!context->needs_input_grad(place)) continue;
      wanted.push_back((place == 0 ? own.states : own.head).requires_grad_(true));
      made.push_back(at::zeros_like(wanted.back(), at_least_float32(wanted.back())));
    }
    by_chunks(own, values, [&](std::int64_t first, std::int64_t rows) {
      const c10::AutoGradMode with_graph(true);
      const auto parts =
          torch::autograd::grad({kl_of_rows(own, reference, first, rows)}, wanted, {slopes[0].narrow(0, first, rows)});
      for (std::size_t i = 0; i < made.size(); ++i) made[i].add_(parts[i]);
    });
    torch::autograd::variable_list gradients(7);
    std::size_t next = 0;
    for (const auto place : {std::size_t{0}, std::size_t{1}}) {
      if (!context->needs_input_grad(place)) continue;
      gradients[place] = made[next].to(wanted[next].scalar_type());
      ++next;
    }
    return gradients;
  }
};

}  // namespace

at::Tensor kl_by_chunks(const Predictor& own, const Predictor& reference, std::int64_t values) {
  return ChunkedKl::apply(own.states, own.head, own.logit_cap, reference.states.detach(), reference.head.detach(),
                          reference.logit_cap, values);
}

}  // namespace holdfast
