// From figures to places on paper.
#pragma once

#include <string>
#include <vector>

#include "report/charts/svg.h"

namespace holdfast {

/// A figure as an axis and a bar say it: three digits, with k, M, G, T, P or E for thousands: "0.2", "12.5", "1.5k".
std::string brief_number(double value);

class Scale {
 public:
  /// Figures `low` to `high` lie at `from` to `to`. Logarithmic: `low` must be above 0.
  Scale(double low, double high, double from, double to, bool logarithmic = false);

  double operator()(double figure) const;
  double low() const { return low_; }
  double high() const { return high_; }
  double from() const { return from_; }
  double to() const { return to_; }
  /// Round figures within, about `wanted` of them; on a logarithmic scale powers of ten, or 1, 2 and 5 of each.
  std::vector<double> ticks(int wanted) const;

 private:
  double low_, high_, from_, to_;
  bool logarithmic_;
};

/// From 0, or from the power of ten below on a logarithmic scale, to the largest of the figures. Logarithmic where the positive
/// ones are a factor of 30 apart or more.
Scale scale_over(const std::vector<double>& figures, double from, double to, bool logarithmic);

enum class AxisText { kPlain, kPercent };
/// Lines across at each tick, and its figure below: a horizontal axis for what lies between `top` and `bottom`.
void draw_x_axis(Svg& svg, const Scale& scale, double top, double bottom, AxisText text, int wanted = 5, bool figures = true);
/// The same for a vertical one, with the figures at its left.
void draw_y_axis(Svg& svg, const Scale& scale, double left, double right, AxisText text, int wanted = 5, bool figures = true);

/// Places for labels that would like to stand at `wanted` (sorted), at least `gap` apart, within `top` and `bottom` where there
/// is room.
std::vector<double> spread(std::vector<double> wanted, double gap, double top, double bottom);

}  // namespace holdfast
