#include "model/adapted_product.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "model/flops.h"
#include "model/fused/once.h"
#include "model/product.h"

namespace holdfast {
namespace {

using Tensors = torch::autograd::variable_list;

// Some rows' update, and where it stands among the saved tensors.
struct Update {
  std::int64_t first, rows;
  at::Tensor a, b;  // (rank, in), (out, rank)
  double scale;

  at::Tensor of(const at::Tensor& all) const { return all.narrow(0, first, rows); }
};

struct AdaptedProduct : torch::autograd::Function<AdaptedProduct> {
  // factors: a and b of each update; places: its first row and how many.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::TensorList& factors, const std::vector<std::int64_t>& places,
                            const std::vector<double>& scales) {
    at::Tensor y = row_product(x, weight);
    Tensors saved{x, weight};
    for (const auto& update : updates_of(factors, places, scales)) {
      const at::Tensor inner = row_product(update.of(x), update.a).mul_(update.scale);
      at::Tensor rows = update.of(y);
      add_row_product(rows, inner, update.b);
      saved.insert(saved.end(), {update.a, update.b, inner});
    }
    context->save_for_backward(saved);
    context->saved_data["places"] = places;
    context->saved_data["scales"] = scales;
    return y;
  }

  static Tensors backward(torch::autograd::AutogradContext* context, const Tensors& slopes) {
    fused::refuse_second_derivatives();
    const Tensors saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], slope = slopes[0].contiguous();
    Tensors factors, inner;
    for (std::size_t i = 2; i < saved.size(); i += 3) {
      factors.insert(factors.end(), {saved[i], saved[i + 1]});
      inner.push_back(saved[i + 2]);
    }
    const auto updates =
        updates_of(factors, context->saved_data["places"].toIntVector(), context->saved_data["scales"].toDoubleVector());
    const bool to_x = context->needs_input_grad(0);
    Tensors made(4 + factors.size());
    if (to_x) made[0] = turned_row_product(slope, weight);
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const Update& update = updates[i];
      const std::size_t a = 2 + 2 * i, b = a + 1;
      const at::Tensor above = update.of(slope);
      if (context->needs_input_grad(b)) made[b] = product_over_rows(above, inner[i]);
      if (!to_x && !context->needs_input_grad(a)) continue;
      const at::Tensor back = turned_row_product(above, update.b).mul_(update.scale);
      if (context->needs_input_grad(a)) made[a] = product_over_rows(back, update.of(x));
      if (!to_x) continue;
      at::Tensor rows = update.of(made[0]);
      add_turned_row_product(rows, back, update.a);
    }
    return made;
  }

 private:
  static std::vector<Update> updates_of(at::TensorList factors, const std::vector<std::int64_t>& places,
                                        const std::vector<double>& scales) {
    std::vector<Update> updates;
    for (std::size_t i = 0; i < scales.size(); ++i) {
      updates.push_back({places[2 * i], places[2 * i + 1], factors[2 * i], factors[2 * i + 1], scales[i]});
    }
    return updates;
  }
};

// What count_flops is told: products of each row with the weight, and with the factors.
void count(const at::Tensor& made, const at::Tensor& x, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted) {
  const std::int64_t whole = 2 * x.size(0) * weight.numel();
  std::int64_t forward = whole, back = x.requires_grad() ? whole : 0;
  for (const auto& [rows, factors] : adapted) {
    if (factors == nullptr) continue;
    const std::int64_t of_a = 2 * rows * factors->a.numel(), of_b = 2 * rows * factors->b.numel();
    const bool to_a = factors->a.requires_grad(), to_b = factors->b.requires_grad(), to_x = x.requires_grad();
    forward += of_a + of_b;
    back += to_b * of_b + (to_x || to_a) * of_b + to_a * of_a + to_x * of_a;
  }
  count_flops(made, forward, back);
}

}  // namespace

bool has_adapted_product(const at::Tensor& x, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted) {
  return !weight.requires_grad() && has_row_product(x, weight) &&
         std::all_of(adapted.begin(), adapted.end(), [&](const AdaptedRows& each) {
           return each.factors == nullptr || (has_row_product(x, each.factors->a) && has_row_product(x, each.factors->b));
         });
}

at::Tensor adapted_product(const at::Tensor& x, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted) {
  Tensors factors;
  std::vector<std::int64_t> places;
  std::vector<double> scales;
  std::int64_t first = 0;
  for (const auto& [rows, lora] : adapted) {
    if (lora != nullptr) {
      factors.insert(factors.end(), {lora->a, lora->b});
      places.insert(places.end(), {first, rows});
      scales.push_back(lora->scale);
    }
    first += rows;
  }
  at::Tensor made = AdaptedProduct::apply(x, weight, at::TensorList(factors), places, scales);
  count(made, x, weight, adapted);
  return made;
}

}  // namespace holdfast
