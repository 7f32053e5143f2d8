#include "report/charts/row_plot.h"

#include <algorithm>

namespace holdfast {

RowPlot::RowPlot(const std::vector<std::string>& names, double above, double plot_width)
    : top_(above), plot_width_(plot_width) {
  for (const auto& name : names) {
    names_.push_back(name == "none" ? "none (undefended)" : shortened_label(name));
    left_ = std::max(left_, text_width(names_.back()) + 12);
  }
}

void RowPlot::draw_rows(Svg& svg, double right) const {
  for (std::size_t row = 0; row < names_.size(); ++row) {
    svg.text(left_ - 8, y(row) + 4, names_[row], "c-end");
    if (row > 0) svg.line(0, y(row) - kHeight / 2, right, y(row) - kHeight / 2, "c-grid");
  }
}

}  // namespace holdfast
