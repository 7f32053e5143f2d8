#include "results/sample_outcomes.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "results/sample.h"

namespace holdfast {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

class Columns {
 public:
  void begin(std::string_view probe) {
    probes_.emplace_back(probe);
    next_ = 0;
  }

  // Lines have their metrics in one order, so that the next is most often the one after the last.
  void add(std::string_view metric, double value) {
    std::size_t at = next_;
    if (at >= names_.size() || names_[at] != metric) {
      at = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), metric) - names_.begin());
    }
    if (at == names_.size()) {
      names_.emplace_back(metric);
      values_.emplace_back();
    }
    values_[at].resize(probes_.size() - 1, kNone);
    values_[at].push_back(value);
    next_ = at + 1;
  }

  SampleOutcomes sorted() && {
    std::vector<std::size_t> order(probes_.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return probes_[a] < probes_[b]; });
    SampleOutcomes outcomes;
    for (const auto from : order) outcomes.probes.push_back(std::move(probes_[from]));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      values_[i].resize(order.size(), kNone);
      auto& column = outcomes.columns[names_[i]];
      for (const auto from : order) column.push_back(values_[i][from]);
    }
    return outcomes;
  }

 private:
  std::vector<std::string> probes_, names_;
  std::vector<std::vector<double>> values_;
  std::size_t next_ = 0;
};

void add_line(simdjson::ondemand::document& line, Columns& columns) {
  columns.begin(line["id"].get_string().value());
  for (auto field : line["outcomes"].get_object()) {
    const std::string_view metric = field.unescaped_key().value();
    auto value = field.value().value();
    columns.add(metric, value.is_null() ? kNone : value.get_double().value());
  }
}

// Nothing when it is not what the program writes.
std::optional<SampleOutcomes> fast(const fs::path& file) {
  try {
    const simdjson::padded_string text = simdjson::padded_string::load(file.string());
    simdjson::ondemand::parser parser;
    Columns columns;
    const char* const end = text.data() + text.size();
    for (const char* begin = text.data(); begin < end;) {
      const char* const stop = std::find(begin, end, '\n');
      if (stop > begin) {
        const auto room = static_cast<std::size_t>(end - begin) + simdjson::SIMDJSON_PADDING;
        auto line = parser.iterate(begin, static_cast<std::size_t>(stop - begin), room).value();
        add_line(line, columns);
      }
      begin = stop + 1;
    }
    return std::move(columns).sorted();
  } catch (const simdjson::simdjson_error&) {
    return std::nullopt;
  }
}

// Says which line is wrong, or reads it where its fields stand in another order.
SampleOutcomes careful(const fs::path& file) {
  Columns columns;
  read_samples(file, [&](const Sample& sample) {
    columns.begin(sample.id);
    for (const auto& [metric, value] : sample.outcomes) columns.add(metric, value);
  });
  return std::move(columns).sorted();
}

}  // namespace

SampleOutcomes read_sample_outcomes(const fs::path& file) {
  if (!fs::exists(file)) return {};
  auto outcomes = fast(file);
  return outcomes ? std::move(*outcomes) : careful(file);
}

}  // namespace holdfast
