// The colours of the pictures and what the classes of their shapes look like.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// A colour in its two modes, as "#rrggbb".
struct ChartColour {
  std::string name, light, dark;
};
/// All of them. "h0" to "h9" are the steps of harm from none to all: their lightness goes one way, so that they tell the order
/// without their hue and on grey paper. Words on h0 to h4 have "on-low", on h5 to h9 "on-high".
const std::vector<ChartColour>& chart_colours();
/// The step of a share of harm, which is the ground of its cell: 0 to 9.
int step_of(double harm);

/// For the style sheet of a page that holds pictures: rules of everything below class "chart", once for all of them, in the
/// variables --chart-<name>.
std::string chart_rules();
/// The variables of one mode as declarations ("--chart-ink:#1b1d22;..."), for the selectors by which a page tells its modes.
std::string chart_variables(bool dark);

/// A picture as a file of its own: the svg of a chart with its colours, light or dark as the reader's system is. Plain colours,
/// since not every program that draws SVG knows variables.
std::string chart_file(const std::string& svg);

}  // namespace holdfast
