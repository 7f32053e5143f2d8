#include "model/linear.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "model/adapted_product.h"
#include "model/flops.h"
#include "model/row_updates.h"

namespace holdfast {
namespace {

at::Tensor low_rank(const at::Tensor& x, const LoraFactors& lora) {
  return counted_linear(counted_linear(x, lora.a), lora.b) * lora.scale;
}

const LoraFactors* factors_of(const Span& span, const std::string& module) {
  if (span.adapters == nullptr) return nullptr;
  const auto found = span.adapters->find(module);
  return found == span.adapters->end() ? nullptr : &found->second;
}

// One split and one cat, so that a gradient comes back in one piece, and in the order of a span's forward alone.
at::Tensor joined_updates(const at::Tensor& x, std::int64_t out, const Spans& spans,
                          const std::vector<const LoraFactors*>& factors) {
  if (factors.size() == 1) return low_rank(x, *factors.front());
  const auto counts = spans.counts();
  const auto parts = (spans.order.defined() ? x.index_select(0, spans.order) : x).split_with_sizes(counts);
  std::vector<at::Tensor> updates;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    updates.push_back(factors[i] == nullptr ? at::zeros({counts[i], out}, x.options()) : low_rank(parts[i], *factors[i]));
  }
  const at::Tensor all = at::cat(updates);
  return spans.places.defined() ? all.index_select(0, spans.places) : all;
}

std::vector<AdaptedRows> adapted_rows(const at::Tensor& x, const Spans& spans, const std::vector<const LoraFactors*>& factors) {
  if (spans.each.empty()) return {{x.size(0), factors.front()}};
  const auto counts = spans.counts();
  std::vector<AdaptedRows> adapted;
  for (std::size_t i = 0; i < counts.size(); ++i) adapted.push_back({counts[i], factors[i]});
  return adapted;
}

bool none(const std::vector<const LoraFactors*>& factors) {
  return std::all_of(factors.begin(), factors.end(), [](const auto* each) { return each == nullptr; });
}

}  // namespace

at::Tensor Linear::operator()(const at::Tensor& x, const Spans& spans) const {
  const std::vector<const LoraFactors*> factors = this->factors(spans);
  if (c10::GradMode::is_enabled() && !none(factors) && !spans.order.defined()) {
    const std::vector<AdaptedRows> adapted = adapted_rows(x, spans, factors);
    if (has_adapted_product(x, weight, adapted)) {
      const at::Tensor y = adapted_product(x, weight, adapted);
      return bias ? y + *bias : y;
    }
  }
  return updated(counted_linear(x, weight, bias), x, spans);
}

at::Tensor Linear::completed(const at::Tensor& x, const at::Tensor& product, const Spans& spans) const {
  return updated(bias ? product + *bias : product, x, spans);
}

std::vector<const LoraFactors*> Linear::factors(const Spans& spans) const {
  if (spans.each.empty()) return {lora};
  std::vector<const LoraFactors*> all;
  for (const auto& span : spans.each) all.push_back(factors_of(span, module));
  return all;
}

at::Tensor Linear::updated(at::Tensor y, const at::Tensor& x, const Spans& spans) const {
  const std::vector<const LoraFactors*> factors = this->factors(spans);
  if (none(factors)) return y;
  if (factors.size() == 1 && y.is_cuda()) {
    const LoraFactors& only = *factors.front();
    return counted_addition(y, counted_linear(x, only.a), only.b, only.scale);
  }
  if (!has_row_updates(y, x)) return y + joined_updates(x, y.size(1), spans, factors);
  std::vector<RowUpdate> updates;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i] != nullptr) updates.push_back({factors[i], spans.each.empty() ? nullptr : &spans.each[i].rows});
  }
  add_updates(y, x, updates);
  return y;
}

at::Tensor Linear::effective_weight() const {
  return lora == nullptr ? weight : at::add(weight, counted_product(lora->b, lora->a), lora->scale);
}

}  // namespace holdfast
