// A results folder as it is handed in: its rows, and run.json.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "plan/part_of_plan.h"
#include "results/cell_row.h"

namespace holdfast {

struct Entry {
  fs::path folder;
  Json run;                   // run.json
  std::vector<CellRow> rows;  // one for each cell, in the file's order; of two of one cell the later

  const Json& scenario() const { return run.at("scenario"); }
};

/// Throws Error for a folder that is no scenario's results.
Entry read_entry(const fs::path& folder);

CellName name_of(const CellRow& row);

/// A scenario as run.json has it, without what may differ between two machines that run the same: where files lie, and how many
/// workers there are. The name of the scenario is left out too.
Json without_places(const Json& scenario);

/// The top-level names under which two such objects differ.
std::vector<std::string> differing(const Json& a, const Json& b);

}  // namespace holdfast
