// A line of stages.jsonl: one distinct stage of the rows in cells.jsonl, what it read and what it cost (docs/results.md).
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct StageRow {
  std::string key, kind;
  std::string plugin;                         // "a + b" where a stack shares it; empty where the stage is ours
  std::string device;                         // "cpu", "cuda"; empty of a stage without a model
  std::map<std::string, std::string> inputs;  // key of the stage that made it, by role ("weights", "data", ...)
  Json cost = Json::object();                 // as its manifest has it: {"seconds", "tokens", "flops", ...}
  Json reports = Json::object();              // {name: {"value", "n"}}
  Json versions = Json::object();             // of the program that made it

  /// A figure of its cost; 0 where it was not counted.
  double spent(const std::string& what) const { return cost.value(what, 0.0); }
};

Json to_json(const StageRow& row);

/// <results folder>/stages.jsonl.
fs::path stages_file(const fs::path& results_folder);

/// Calls `visit` with each row of the file in order; never when there is no such file, as beside rows of an older program.
/// Throws Error naming the line that is no stage.
void read_stage_rows(const fs::path& results_folder, const std::function<void(StageRow)>& visit);

}  // namespace holdfast
