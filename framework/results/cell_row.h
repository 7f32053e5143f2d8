// A row of cells.jsonl: the schema, written and read here only (docs/results.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "judge/metrics.h"

namespace holdfast {

struct CellRow {
  std::string model, attack, defense;
  std::int64_t seed = 0;
  std::string threat_model = "api";  // of the attack; or "weights" (plugin/threat_model.h)
  std::string sweep;                 // of an attack that is one try of a sweep: the sweep's name
  Json tried = Json::object();       // then: what this try sets, {"lr": 1e-4}
  std::string status = "ok";         // or "failed", "timeout"
  std::string message;               // why; of an ok cell the figures that are not finite
  /// By id, of an ok cell. A value that is not finite is written as null and read as NaN; an end of an interval that passed the
  /// largest number is written as null and read as infinity.
  std::map<std::string, Metric> metrics;
  double seconds = 0;                // of all stages, as if the cell had been alone
  double seconds_shared = 0;         // where each cell bears its part of stages it shares
  std::int64_t forward_tokens = 0;   // through the whole model, of all stages
  std::int64_t backward_tokens = 0;  // whose gradient came back
  /// Of all stages; nothing where one of them does not say.
  std::optional<std::uint64_t> flops;         // docs/cost.md
  std::optional<double> cpu_seconds;          // of the workers' threads
  std::optional<double> device_seconds;       // in which an accelerator was held; nothing where none was
  std::optional<double> energy_joules;        // as far as the machine tells
  std::int64_t peak_memory = 0;               // bytes, of the stage that held most
  std::int64_t peak_device_memory = 0;        // the same on an accelerator; 0 without one
  std::int64_t defender_rows = 0;             // that its defense took of its own, over all stages
  Json reports = Json::object();              // {name: {"value", "n"}}, with numbers as the stages' manifests have them
  std::map<std::string, std::string> stages;  // key by the stage's name, of those that are done

  bool ok() const { return status == "ok"; }
};

Json to_json(const CellRow& row);

/// `place`: the file and line, for the error of what is no row.
CellRow cell_row(const Json& json, const std::string& place);

/// <results folder>/cells.jsonl.
fs::path cells_file(const fs::path& results_folder);

/// Calls `visit` with each row of the file in order. A last line without its end (a run that was killed) is left out. Throws
/// Error naming the line that is no row.
void read_cell_rows(const fs::path& file, const std::function<void(CellRow)>& visit);

}  // namespace holdfast
