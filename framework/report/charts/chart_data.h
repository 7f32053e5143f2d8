// The data of a picture: one table, as CSV and inside its Vega-Lite specification.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// A value of a table: words, a number, or nothing.
class ChartValue {
 public:
  ChartValue(std::string words) : text_(std::move(words)) {}
  ChartValue(const char* words) : text_(words) {}
  ChartValue(double number);  // six digits after the point, as in leaderboard.csv
  ChartValue(std::optional<double> number);
  ChartValue(std::int64_t count) : text_(std::to_string(count)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class ChartData {
 public:
  struct Field {
    std::string name;
    bool number = false;
  };
  explicit ChartData(std::vector<Field> fields) : fields_(std::move(fields)) {}

  /// As many values as there are fields.
  void add(const std::vector<ChartValue>& row);
  bool empty() const { return rows_.empty(); }
  std::string csv() const;

  /// A Vega-Lite 5 specification: the marks and encodings of `layout`, which names the fields, with the title, what it shows
  /// and the data put in. The values stand there as CSV, which says a field's name once.
  std::string vega_lite(const std::string& layout, const std::string& title, const std::string& about) const;

 private:
  std::vector<Field> fields_;
  std::vector<std::string> rows_;
};

/// A layout in which `value` stands where the string `name` stood.
std::string filled(std::string layout, const std::string& name, const Json& value);

}  // namespace holdfast
