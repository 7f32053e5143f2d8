// A row a defense: its name at the left, marks on a common horizontal scale, figures at the right.
#pragma once

#include <string>
#include <vector>

#include "report/charts/scale.h"
#include "report/charts/svg.h"

namespace holdfast {

class RowPlot {
 public:
  static constexpr double kHeight = 19;  // of a row

  /// `above`: room for a legend. `plot_width`: of the scale.
  RowPlot(const std::vector<std::string>& names, double above, double plot_width);

  double left() const { return left_; }
  double right() const { return left_ + plot_width_; }
  double top() const { return top_; }
  double bottom() const { return top_ + kHeight * static_cast<double>(names_.size()); }
  /// The middle of a row.
  double y(std::size_t row) const { return top_ + kHeight * (static_cast<double>(row) + 0.5); }
  /// The names, over lines that part the rows.
  void draw_rows(Svg& svg, double right) const;

 private:
  std::vector<std::string> names_;
  double left_ = 0, top_, plot_width_;
};

}  // namespace holdfast
