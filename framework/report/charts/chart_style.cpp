#include "report/charts/chart_style.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace holdfast {
namespace {

// What stands at "$name" is a colour.
struct Rule {
  std::string selector, body;
};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {
      {"text", "fill:$ink;font:11px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif"},
      {".c-muted", "fill:$muted"},
      {".c-small", "font-size:10px"},
      {".c-strong", "font-weight:600"},
      {".c-end", "text-anchor:end"},
      {".c-mid", "text-anchor:middle"},
      {".c-grid", "stroke:$grid;fill:none"},
      {".c-axis", "stroke:$muted;fill:none"},
      {".c-lead", "stroke:$lead;fill:none;stroke-width:.75"},
      {".c-band", "fill:$band"},
      {".c-one", "fill:$one;stroke:$one"},
      {".c-two", "fill:$two;stroke:$two"},
      {".c-three", "fill:$three;stroke:$three"},
      {".c-open", "fill:$paper"},
      {".c-line", "fill:none;stroke-width:2"},
      {".c-thin", "fill:none;stroke-width:1.25"},
      {".c-dash", "stroke-dasharray:5 3"},
      {".c-dots", "fill:none;stroke-width:4;stroke-linecap:round"},
      {".c-area", "stroke:none;opacity:.2"},
      {".c-bar", "stroke:none"},
      {".c-hatch", "fill:none;stroke:$lead;stroke-width:.75"},
      {".c-tiles path", "fill:none;stroke-width:28"},
      {".c-swatch", "stroke-width:14"},
      {".c-cells text", "font-size:12px;text-anchor:middle;fill:$on-low"},
      {".c-cells .c-hi", "fill:$on-high"},
      {".c-cells .c-none", "fill:$muted;font-size:10px"},
      {".c-cells tspan", "font-size:9px"},
  };
  return all;
}

std::string step(int i) { return "h" + std::to_string(i); }

// The rules with each colour's name replaced.
std::string written(const std::string& before, const std::function<std::string(const std::string&)>& colour) {
  std::string text;
  const auto add = [&](const std::string& selector, const std::string& body) {
    std::string filled;
    for (std::size_t at = 0; at < body.size();) {
      if (body[at] != '$') {
        filled += body[at++];
        continue;
      }
      const std::size_t end = std::min(body.find(';', at), body.size());
      filled += colour(body.substr(at + 1, end - at - 1));
      at = end;
    }
    text += before + selector + "{" + filled + "}";
  };
  for (const auto& rule : rules()) add(rule.selector, rule.body);
  for (int i = 0; i < 10; ++i) add(".c-" + step(i), "stroke:$" + step(i));
  return text;
}

}  // namespace

const std::vector<ChartColour>& chart_colours() {
  static const std::vector<ChartColour> colours = {
      {"ink", "#1b1d22", "#e9ebef"},    {"muted", "#5a606c", "#a5acb9"},   {"grid", "#e3e5ea", "#2b2f38"},
      {"lead", "#9aa1ad", "#6b7280"},   {"paper", "#ffffff", "#14161b"},   {"band", "#f1f3f6", "#1d2027"},
      {"one", "#0b5cad", "#7db8ff"},    {"two", "#b3460b", "#ffab66"},     {"three", "#1f6f4a", "#74d3a3"},
      {"on-low", "#16181d", "#f4f5f7"}, {"on-high", "#ffffff", "#101114"}, {"h0", "#fefaeb", "#241e2e"},
      {"h1", "#fdedc9", "#3d233b"},     {"h2", "#fddaa4", "#582740"},      {"h3", "#fdc383", "#722d40"},
      {"h4", "#faa969", "#8a353c"},     {"h5", "#c3491f", "#e57945"},      {"h6", "#af3029", "#f39340"},
      {"h7", "#971e32", "#fab050"},     {"h8", "#7c1135", "#fdcc6e"},      {"h9", "#600b34", "#ffe891"},
  };
  return colours;
}

int step_of(double harm) { return std::clamp(static_cast<int>(harm * 10), 0, 9); }

std::string chart_rules() {
  return written(".chart ", [](const std::string& name) { return "var(--chart-" + name + ")"; });
}

std::string chart_variables(bool dark) {
  std::string text;
  for (const auto& colour : chart_colours()) text += "--chart-" + colour.name + ":" + (dark ? colour.dark : colour.light) + ";";
  return text;
}

std::string chart_file(const std::string& svg) {
  const auto plain = [](bool dark) {
    return [dark](const std::string& name) {
      for (const auto& colour : chart_colours()) {
        if (colour.name == name) return dark ? colour.dark : colour.light;
      }
      return std::string();
    };
  };
  const std::string style = "<style>" + written("", plain(false)) + "@media screen and (prefers-color-scheme:dark){" +
                            written("", plain(true)) + "}</style>";
  static constexpr std::string_view kHead = "</desc>";
  const std::size_t body = svg.find(kHead) + kHead.size();
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + svg.substr(0, body) + style + svg.substr(body);
}

}  // namespace holdfast
