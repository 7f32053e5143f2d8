// A cell as a user names it: its results folder and its names, like a path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "report/results.h"

namespace holdfast {

struct NamedCell {
  Results results;  // of its run
  std::string model, attack, defense;
  std::optional<std::int64_t> seed;  // none: all seeds together

  const CellGroup& group() const { return *results.find(model, attack, defense); }
};

/// "results/quickstart/harmful-10/vaccine/2": a folder that holds cells.jsonl, then [MODEL/]ATTACK/DEFENSE[/SEED]; the model
/// may be left out where the run has one. Names may hold slashes. Throws Error for a path that no results folder begins, for a
/// cell that the run does not have (with the nearest that it has) and for one that fits two cells.
NamedCell named_cell(const std::string& address);

/// The address of a cell below a results folder, as short as named_cell reads it.
std::string cell_address(const Results& results, const CellGroup& cells);

}  // namespace holdfast
