// KL(reference || model) by its definition, one row and position at a time.
#pragma once

#include "learn/reference_decoder.h"

namespace holdfast::fixtures {

struct DivergenceTerms {
  bool everywhere = true;  // else where a label token is predicted
  bool over_positions = false;
  bool token_mean = false;  // else the sum divided by the rows
  bool other_way = false;   // KL(model || reference)
};

/// Its sum over a row's positions.
inline at::Tensor row_divergence(const ReferenceDecoder& model, const ReferenceDecoder& reference, const Encoded& row,
                                 const DivergenceTerms& terms) {
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < row.ids.size(); ++i) {
    if (terms.everywhere || (i + 1 < row.ids.size() && row.label[i + 1])) places.push_back(static_cast<std::int64_t>(i));
  }
  const at::Tensor chosen = at::tensor(places, at::kLong);
  const auto shares = [&](const ReferenceDecoder& decoder) {
    const at::Tensor scores = decoder.logits(row.ids).index_select(0, chosen).exp();
    return scores / scores.sum(terms.over_positions ? 0 : 1, true);
  };
  const at::Tensor own = shares(model), wanted = shares(reference).detach();
  const at::Tensor &p = terms.other_way ? own : wanted, &q = terms.other_way ? wanted : own;
  return (p * (p / q).log()).sum();
}

/// How many positions of the row count.
inline double positions_of(const Encoded& row, const DivergenceTerms& terms) {
  if (terms.everywhere) return static_cast<double>(row.ids.size());
  double labels = 0;
  for (std::size_t i = 1; i < row.ids.size(); ++i) labels += row.label[i];
  return labels;
}

/// Over all rows.
inline at::Tensor reference_divergence(const ReferenceDecoder& model, const ReferenceDecoder& reference,
                                       const std::vector<Encoded>& rows, const DivergenceTerms& terms) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  double divisor = 0;
  for (const auto& row : rows) {
    sum = sum + row_divergence(model, reference, row, terms);
    divisor += terms.token_mean ? positions_of(row, terms) : 1;
  }
  return sum / divisor;
}

}  // namespace holdfast::fixtures
