#include "model/spans.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace holdfast {

std::vector<std::int64_t> Spans::counts() const {
  std::vector<std::int64_t> counts;
  for (const auto& span : each) counts.push_back(static_cast<std::int64_t>(span.rows.size()));
  return counts;
}

Spans spans_of(const std::vector<Run>& runs, at::Device device) {
  Spans made;
  std::int64_t row = 0;
  for (const auto& run : runs) {
    auto span =
        std::find_if(made.each.begin(), made.each.end(), [&](const Span& each) { return each.adapters == run.adapters; });
    if (span == made.each.end()) span = made.each.insert(span, {{}, run.adapters});
    for (std::int64_t i = 0; i < run.rows; ++i) span->rows.push_back(row++);
  }
  std::vector<std::int64_t> order, places(static_cast<std::size_t>(row));
  for (const auto& span : made.each) order.insert(order.end(), span.rows.begin(), span.rows.end());
  if (std::is_sorted(order.begin(), order.end())) return made;
  for (std::size_t place = 0; place < order.size(); ++place) {
    places[static_cast<std::size_t>(order[place])] = static_cast<std::int64_t>(place);
  }
  made.order = at::tensor(order, at::kLong).to(device);
  made.places = at::tensor(places, at::kLong).to(device);
  return made;
}

}  // namespace holdfast
