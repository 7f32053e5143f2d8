// The matrix as a graph of distinct stages.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "scenario/scenario.h"
#include "store/stage_kind.h"

namespace holdfast {

struct StageInput {
  std::string role;  // "weights", "aligned", "data", "generations"
  std::size_t node;
};

/// One stage of the plan. Equal stages are one node.
struct PlanNode {
  StageKind kind;
  Json identity;  // what decides the result beside the inputs' content; goes into the key
  Json task;      // what a worker needs besides: where to find things, settings as given
  std::vector<StageInput> inputs;
  std::string plugin;                 // of the stage, for messages; empty where the stage is ours
  std::string fault = {};             // why it cannot run: its plugin died while the scenario was read
  std::size_t model = 0;              // index into the scenario's models
  std::vector<std::size_t> children;  // nodes that have this one as an input
  std::size_t cells = 0;              // cells that need it

  /// The input of that role, or null.
  const StageInput* input(const std::string& role) const;
};

struct Cell {
  std::string model, attack, defense;
  std::int64_t seed = 0;
  /// Its stages in pipeline order, with the name each has in results: the kind, for the last one of a chain; "screen.1", ...
  /// for those before; "judge.<name>" for judges.
  std::vector<std::pair<std::string, std::size_t>> stages;
};

struct Plan {
  std::vector<PlanNode> nodes;  // inputs come before the nodes that use them
  std::vector<Cell> cells;      // models x attacks (each with its wrapped control) x defenses x seeds

  /// The weights nodes from the base to `node`, which is an align, finetune or repair node.
  std::vector<std::size_t> weights_chain(std::size_t node) const;
  /// The nodes whose files `node` reads: its inputs, and what the weights among them are differences from.
  std::vector<std::size_t> read_by(std::size_t node) const;
};

/// `digest_of`: the checkpoint digest of a model source; asked once for each use.
Plan make_plan(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of);

}  // namespace holdfast
