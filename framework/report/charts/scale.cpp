#include "report/charts/scale.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/figures.h"

namespace holdfast {
namespace {

std::string tick_text(double tick, AxisText text) {
  return text == AxisText::kPercent ? short_number(100 * tick) : brief_number(tick);
}

}  // namespace

std::string brief_number(double value) {
  static constexpr std::array<const char*, 7> kThousands = {"", "k", "M", "G", "T", "P", "E"};
  std::size_t power = 0;
  double shown = value;
  while (std::abs(shown) >= 999.5 && power + 1 < kThousands.size()) {
    shown /= 1000;
    ++power;
  }
  const double size = std::abs(shown);
  const int digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.1 || size == 0 ? 2 : 4;
  std::string text = fixed(shown, digits);
  if (digits > 0) text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + kThousands[power];
}

Scale::Scale(double low, double high, double from, double to, bool logarithmic)
    : low_(low), high_(high), from_(from), to_(to), logarithmic_(logarithmic) {}

double Scale::operator()(double figure) const {
  const double part = logarithmic_ ? std::log(figure / low_) / std::log(high_ / low_) : (figure - low_) / (high_ - low_);
  return from_ + std::clamp(part, 0.0, 1.0) * (to_ - from_);
}

std::vector<double> Scale::ticks(int wanted) const {
  std::vector<double> found;
  if (logarithmic_) {
    const bool decades = std::log10(high_ / low_) > wanted / 2.0;
    for (double power = std::pow(10, std::floor(std::log10(low_))); power <= high_ * 1.0001; power *= 10) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double tick = digit * power;
        if ((digit == 1 || !decades) && tick >= low_ * 0.9999 && tick <= high_ * 1.0001) found.push_back(tick);
      }
    }
    return found;
  }
  const double rough = (high_ - low_) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double part = rough / power;
  const double step = power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
  const auto first = static_cast<std::int64_t>(std::ceil(low_ / step - 1e-9));
  const auto last = static_cast<std::int64_t>(std::floor(high_ / step + 1e-9));
  for (auto i = first; i <= last; ++i) found.push_back(static_cast<double>(i) * step);
  return found;
}

Scale scale_over(const std::vector<double>& figures, double from, double to, bool logarithmic) {
  double least = 0, most = 0;
  for (const double figure : figures) {
    most = std::max(most, figure);
    if (figure > 0) least = least == 0 ? figure : std::min(least, figure);
  }
  if (most == 0) return {0, 1, from, to};
  if (!logarithmic || most < 30 * least) return {0, most, from, to};
  return {std::pow(10, std::floor(std::log10(least))), most, from, to, true};
}

void draw_x_axis(Svg& svg, const Scale& scale, double top, double bottom, AxisText text, int wanted, bool figures) {
  std::string lines;
  for (const double tick : scale.ticks(wanted)) {
    const double x = scale(tick);
    lines += path_through({{x, top}, {x, bottom}});
    if (figures) svg.text(x, bottom + 14, tick_text(tick, text), "c-muted c-small c-mid");
  }
  svg.path(lines, "c-grid");
}

void draw_y_axis(Svg& svg, const Scale& scale, double left, double right, AxisText text, int wanted, bool figures) {
  std::string lines;
  for (const double tick : scale.ticks(wanted)) {
    const double y = scale(tick);
    lines += path_through({{left, y}, {right, y}});
    if (figures) svg.text(left - 6, y + 3.5, tick_text(tick, text), "c-muted c-small c-end");
  }
  svg.path(lines, "c-grid");
}

std::vector<double> spread(std::vector<double> wanted, double gap, double top, double bottom) {
  double least = top;
  for (double& place : wanted) {
    place = std::max(place, least);
    least = place + gap;
  }
  double most = std::max(bottom, top + gap * (static_cast<double>(wanted.size()) - 1));
  for (auto place = wanted.rbegin(); place != wanted.rend(); ++place) {
    *place = std::min(*place, most);
    most = *place - gap;
  }
  return wanted;
}

}  // namespace holdfast
