#include "results/cell_row.h"

#include <holdfast/error.h>

#include <fstream>
#include <limits>

namespace holdfast {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

template <typename T>
std::optional<T> figure_in(const Json& cost, const char* name) {
  return cost.contains(name) ? std::optional(cost.at(name).get<T>()) : std::nullopt;
}

Json cost_of(const CellRow& row) {
  Json cost = {{"seconds", row.seconds},
               {"seconds_shared", row.seconds_shared},
               {"forward_tokens", row.forward_tokens},
               {"backward_tokens", row.backward_tokens},
               {"peak_memory", row.peak_memory},
               {"peak_device_memory", row.peak_device_memory}};
  if (row.flops) cost["flops"] = *row.flops;
  if (row.cpu_seconds) cost["cpu_seconds"] = *row.cpu_seconds;
  if (row.device_seconds) cost["device_seconds"] = *row.device_seconds;
  if (row.energy_joules) cost["energy_joules"] = *row.energy_joules;
  return cost;
}

double number_or(const Json& number, double unless) { return number.is_null() ? unless : number.get<double>(); }

Metric metric(const Json& json) {
  if (json.at("value").is_null()) {
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    return {unknown, json.value("n", std::int64_t{0}), unknown, unknown};
  }
  return {json.at("value"), json.at("n"), number_or(json.at("low"), -kInfinite), number_or(json.at("high"), kInfinite)};
}

void read_figures(CellRow& row, const Json& json) {
  const Json metrics = json.value("metrics", Json::object());
  for (const auto& [id, figure] : metrics.items()) row.metrics[id] = metric(figure);
  row.reports = json.value("reports", Json::object());
  for (const auto& [name, report] : row.reports.items()) number_or(report.at("value"), 0);
}

}  // namespace

Json to_json(const CellRow& row) {
  Json metrics = Json::object();
  for (const auto& [id, metric] : row.metrics) metrics[id] = to_json(metric);
  Json json = {{"model", row.model},
               {"attack", row.attack},
               {"defense", row.defense},
               {"seed", row.seed},
               {"threat_model", row.threat_model},
               {"status", row.status},
               {"message", row.message},
               {"metrics", std::move(metrics)},
               {"cost", cost_of(row)},
               {"defender_rows", row.defender_rows},
               {"reports", row.reports},
               {"stages", row.stages}};
  if (!row.sweep.empty()) {
    json["sweep"] = row.sweep;
    json["tried"] = row.tried;
  }
  return json;
}

CellRow cell_row(const Json& json, const std::string& place) {
  CellRow row;
  try {
    json.at("model").get_to(row.model);
    json.at("attack").get_to(row.attack);
    json.at("defense").get_to(row.defense);
    json.at("seed").get_to(row.seed);
    json.at("status").get_to(row.status);
    row.message = json.value("message", "");
    row.threat_model = json.value("threat_model", row.threat_model);
    row.sweep = json.value("sweep", "");
    row.tried = json.value("tried", Json::object());
    const Json cost = json.value("cost", Json::object());
    row.seconds = cost.value("seconds", 0.0);
    row.seconds_shared = cost.value("seconds_shared", 0.0);
    row.forward_tokens = cost.value("forward_tokens", std::int64_t{0});
    row.backward_tokens = cost.value("backward_tokens", std::int64_t{0});
    row.flops = figure_in<std::uint64_t>(cost, "flops");
    row.cpu_seconds = figure_in<double>(cost, "cpu_seconds");
    row.device_seconds = figure_in<double>(cost, "device_seconds");
    row.energy_joules = figure_in<double>(cost, "energy_joules");
    row.peak_memory = cost.value("peak_memory", std::int64_t{0});
    row.peak_device_memory = cost.value("peak_device_memory", std::int64_t{0});
    row.defender_rows = json.value("defender_rows", std::int64_t{0});
    row.stages = json.value("stages", row.stages);
  } catch (const Json::exception&) {
    throw Error(place +
                " is not a cell: expected \"model\", \"attack\", \"defense\", \"seed\" and \"status\" (docs/results.md)");
  }
  if (row.threat_model != "api" && row.threat_model != "weights") {
    throw Error(place + " has the threat model " + in_quotes(row.threat_model) + ", expected \"api\" or \"weights\"");
  }
  try {
    read_figures(row, json);
  } catch (const Json::exception&) {
    throw Error(place + " holds a metric or report without \"value\" and \"n\" (docs/results.md)");
  }
  return row;
}

fs::path cells_file(const fs::path& results_folder) { return results_folder / "cells.jsonl"; }

void read_cell_rows(const fs::path& file, const std::function<void(CellRow)>& visit) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error("cannot read " + file.string());
  std::int64_t number = 0;
  for (std::string line; std::getline(stream, line) && !stream.eof();) {  // at the end of the file there was no end of line
    const std::string place = file.string() + ":" + std::to_string(++number);
    if (!line.empty()) visit(cell_row(parse_json(line, place), place));
  }
}

}  // namespace holdfast
