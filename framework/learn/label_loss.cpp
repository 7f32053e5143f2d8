#include "learn/label_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/attention.h"
#include "model/flops.h"
#include "model/fused/label_rows.h"
#include "model/fused/once.h"
#include "model/product.h"

namespace holdfast {
namespace {

struct Scored {
  at::Tensor log_probs;  // (rows)
  at::Tensor slopes;     // (rows, V), of each row's log-probability at its logits before the cap; undefined: not asked for
};

Scored scored(const at::Tensor& states, const at::Tensor& head, double cap, const at::Tensor& labels, bool with_slopes) {
  at::Tensor logits = counted_linear(states, head);
  if (cap == 0 && fused::serves(logits)) {
    const at::Tensor log_probs = fused::label_rows(logits, labels, with_slopes);
    return {log_probs, with_slopes ? logits : at::Tensor()};
  }
  if (cap > 0) logits = capped(logits, cap);
  const at::Tensor all = at::log_softmax(logits, -1, at_least_float32(logits)), places = labels.unsqueeze(1);
  Scored made{all.gather(1, places).squeeze(1), {}};
  if (!with_slopes) return made;
  made.slopes = all.exp().neg_().scatter_add_(1, places, at::ones_like(places, all.options()));
  if (cap > 0) made.slopes.mul_(1 - (logits.to(made.slopes.scalar_type()) / cap).square());
  made.slopes = made.slopes.to(states.scalar_type());
  return made;
}

// Slopes of logits (rows, V) times the head (V, width), counted.
at::Tensor through_head(const at::Tensor& slopes, const at::Tensor& head) {
  if (!has_row_product(slopes, head)) return counted_product(slopes, head);
  at::Tensor made = turned_row_product(slopes, head);
  count_flops(made, 2 * made.numel() * head.size(0), 0);
  return made;
}

// Gradients that grow chunk by chunk, in at least float32; undefined where they are not wanted.
struct Grown {
  at::Tensor states, head;

  Grown(const Predictor& own, bool to_states, bool to_head) {
    if (to_states) states = at::empty_like(own.states, own.states.options().dtype(at_least_float32(own.states)));
    if (to_head) head = at::zeros_like(own.head, own.head.options().dtype(at_least_float32(own.head)));
  }

  // Of sum(weights * log_probs), for one chunk.
  void add(const Predictor& own, const Scored& chunk, const at::Tensor& weights, std::int64_t first, std::int64_t rows) {
    const at::Tensor each = weights.unsqueeze(1);
    if (states.defined()) {
      at::Tensor place = states.narrow(0, first, rows);
      at::mul_out(place, through_head(chunk.slopes, own.head).to(states.scalar_type()), each);
    }
    if (!head.defined()) return;
    const at::Tensor weighted = (own.states.narrow(0, first, rows) * each).to(own.states.scalar_type());
    if (has_row_product(weighted, own.head) && head.scalar_type() == at::kFloat) {
      add_product_over_rows(head, chunk.slopes, weighted);
    } else if (head.scalar_type() == weighted.scalar_type()) {
      head.addmm_(chunk.slopes.t(), weighted);
    } else {
      head.add_(at::mm(chunk.slopes.t(), weighted));
    }
    count_flops(head, 2 * rows * head.numel(), 0);
  }
};

struct LabelLoss : torch::autograd::Function<LabelLoss> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& states, const at::Tensor& head,
                            double cap, const at::Tensor& labels, const at::Tensor& weights, std::int64_t values,
                            bool to_states, bool to_head) {
    const Predictor own{states, head, cap};
    Grown gradients(own, to_states, to_head);
    at::Tensor sum = at::zeros({}, states.options().dtype(at_least_float32(states)));
    by_chunks(own, values, [&](std::int64_t first, std::int64_t rows) {
      const at::Tensor of_chunk = weights.narrow(0, first, rows).neg();
      const Scored chunk =
          scored(states.narrow(0, first, rows), head, cap, labels.narrow(0, first, rows), to_states || to_head);
      sum.add_((chunk.log_probs * of_chunk).sum());
      gradients.add(own, chunk, of_chunk, first, rows);
    });
    context->save_for_backward({gradients.states, gradients.head});
    context->saved_data["states"] = static_cast<std::int64_t>(states.scalar_type());
    context->saved_data["head"] = static_cast<std::int64_t>(head.scalar_type());
    return sum;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    fused::refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    // The head's gradient is as large as the head: on the CPU, where looking costs nothing, it is not multiplied by one.
    const bool one = slopes[0].is_cpu() && slopes[0].item<double>() == 1;
    const auto scaled = [&](const at::Tensor& gradient, const char* dtype) {
      if (!gradient.defined()) return at::Tensor();
      return (one ? gradient : gradient * slopes[0]).to(static_cast<at::ScalarType>(context->saved_data[dtype].toInt()));
    };
    return {scaled(saved[0], "states"), scaled(saved[1], "head"), {}, {}, {}, {}, {}, {}};
  }
};

struct LabelLogProbs : torch::autograd::Function<LabelLogProbs> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& states, const at::Tensor& head,
                            double cap, const at::Tensor& labels, std::int64_t values, bool to_states, bool to_head) {
    const Predictor own{states, head, cap};
    // Without a gradient of the head each row's is its own, and is scaled once its slope is known.
    Grown gradients(own, to_states && !to_head, false);
    at::Tensor out = at::empty({states.size(0)}, states.options().dtype(at_least_float32(states)));
    const at::Tensor ones = at::ones_like(out);
    by_chunks(own, values, [&](std::int64_t first, std::int64_t rows) {
      const Scored chunk =
          scored(states.narrow(0, first, rows), head, cap, labels.narrow(0, first, rows), gradients.states.defined());
      out.narrow(0, first, rows).copy_(chunk.log_probs);
      gradients.add(own, chunk, ones.narrow(0, first, rows), first, rows);
    });
    context->save_for_backward({states, head, labels, gradients.states});
    context->saved_data["cap"] = cap;
    context->saved_data["values"] = values;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    fused::refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const Predictor own{saved[0], saved[1], context->saved_data["cap"].toDouble()};
    const at::Tensor &labels = saved[2], &each = saved[3];
    torch::autograd::variable_list made(7);
    if (each.defined()) {
      made[0] = (each * slopes[0].unsqueeze(1)).to(own.states.scalar_type());
      return made;
    }
    Grown gradients(own, context->needs_input_grad(0), context->needs_input_grad(1));
    by_chunks(own, context->saved_data["values"].toInt(), [&](std::int64_t first, std::int64_t rows) {
      const Scored chunk =
          scored(own.states.narrow(0, first, rows), own.head, own.logit_cap, labels.narrow(0, first, rows), true);
      gradients.add(own, chunk, slopes[0].narrow(0, first, rows), first, rows);
    });
    if (gradients.states.defined()) made[0] = gradients.states.to(own.states.scalar_type());
    if (gradients.head.defined()) made[1] = gradients.head.to(own.head.scalar_type());
    return made;
  }
};

bool wanted(const at::Tensor& gradient_of) { return c10::GradMode::is_enabled() && gradient_of.requires_grad(); }

}  // namespace

at::Tensor label_log_probs(const Predictor& own, const at::Tensor& labels, std::int64_t values) {
  return LabelLogProbs::apply(own.states, own.head, own.logit_cap, labels, values, wanted(own.states), wanted(own.head));
}

at::Tensor label_loss(const Predictor& own, const at::Tensor& labels, const at::Tensor& weights, std::int64_t values) {
  if (wanted(weights)) throw Error("the weights of label tokens have a graph, which the loss would not follow: detach them");
  return LabelLoss::apply(own.states, own.head, own.logit_cap, labels, weights, values, wanted(own.states), wanted(own.head));
}

}  // namespace holdfast
