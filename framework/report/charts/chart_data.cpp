#include "report/charts/chart_data.h"

#include <holdfast/error.h>

#include "report/csv_text.h"
#include "report/figures.h"

namespace holdfast {

ChartValue::ChartValue(double number) : text_(fixed(number, 6)) {}

ChartValue::ChartValue(std::optional<double> number) : text_(number ? fixed(*number, 6) : "") {}

void ChartData::add(const std::vector<ChartValue>& row) {
  if (row.size() != fields_.size()) {
    throw Error("a row of a picture has " + std::to_string(row.size()) + " values, expected " + std::to_string(fields_.size()));
  }
  std::string line;
  for (const auto& value : row) line += (&value == &row.front() ? "" : ",") + csv_field(value.text());
  rows_.push_back(line + "\n");
}

std::string ChartData::csv() const {
  std::string text;
  for (const auto& field : fields_) text += (text.empty() ? "" : ",") + field.name;
  text += "\n";
  for (const auto& row : rows_) text += row;
  return text;
}

std::string ChartData::vega_lite(const std::string& layout, const std::string& title, const std::string& about) const {
  Json spec = parse_json(layout, "a picture's layout");
  spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json";
  spec["title"] = title;
  spec["description"] = about;
  Json types = Json::object();
  for (const auto& field : fields_) types[field.name] = field.number ? "number" : "string";
  spec["data"] = {{"values", csv()}, {"format", {{"type", "csv"}, {"parse", types}}}};
  return spec.dump() + "\n";
}

std::string filled(std::string layout, const std::string& name, const Json& value) {
  const std::string place = "\"" + name + "\"", text = value.dump();
  for (std::size_t at = 0; (at = layout.find(place, at)) != std::string::npos; at += text.size()) {
    layout.replace(at, place.size(), text);
  }
  return layout;
}

}  // namespace holdfast
