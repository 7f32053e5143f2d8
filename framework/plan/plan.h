// The matrix as a graph of distinct stages.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plan/stage_document.h"
#include "scenario/scenario.h"
#include "store/stage_kind.h"

namespace holdfast {

struct StageInput {
  std::string_view role;  // "weights", "aligned", "base", "data", "generations"
  std::size_t node;
};

/// Whether inputs of that role are weights, which are what all their links make together, and not a file.
bool is_weights(std::string_view role);

/// One stage of the plan. Equal stages are one node.
struct PlanNode {
  StageKind kind;
  std::uint32_t model = 0;                        // index into the scenario's models
  std::uint32_t cells = 0;                        // cells that need it
  std::shared_ptr<const StageDocument> identity;  // what decides the result beside the inputs' content; goes into the key
  std::shared_ptr<const StageDocument> task;      // what a worker needs besides: where to find things, settings as given
  std::vector<StageInput> inputs;
  std::string plugin;      // of the stage, for messages ("a + b" where a stack shares it); empty where the stage is ours
  std::string fault = {};  // why it cannot run: its plugin died while the scenario was read
  std::vector<std::size_t> children{};  // nodes that have this one as an input

  /// The input of that role, or null.
  const StageInput* input(std::string_view role) const;
};

/// A stage of a cell, with the name that it has in results: the kind, for the last one of a chain; "screen.1", ... for those
/// before; "judge.<name>" for judges; "moderator.<name>" for what moderators say of the attack's rows.
struct CellStage {
  std::uint32_t name;  // index into the plan's stage names
  std::uint32_t node;
};

struct Cell {
  std::uint32_t model, attack, defense;  // indices into the plan's names of them
  std::int64_t seed = 0;
  std::vector<CellStage> stages;           // in pipeline order
  std::vector<CellStage> moderators{};     // beside the pipeline: they change nothing of the cell, and cost it nothing
  ThreatModel threat = ThreatModel::kApi;  // of the attack
};

/// An attack, or wrapped control, that stands in a sweep's column: the sweep, and what this try sets.
struct PlanTry {
  std::string sweep;
  Json tried;
};

struct Plan {
  std::vector<PlanNode> nodes;  // inputs come before the nodes that use them
  std::vector<Cell> cells;      // models x attacks (each with its wrapped control) x defenses that stand against it x seeds
  std::vector<std::string> models, attacks, defenses, stage_names;
  std::map<std::string, PlanTry> tries;  // by the attack's name, of those that are some
  /// What a name stands for, as a digest: "model organism", "probes organism", "alignment organism", "judge keyword", "attack
  /// x", "sweep x", "defense y", "generation". Figures of two plans are of one kind where the names that both have stand for
  /// the same.
  std::map<std::string, std::string> definitions;

  /// The weights nodes from the base to `node`, which is an align, finetune or repair node.
  std::vector<std::size_t> weights_chain(std::size_t node) const;
  /// The nodes whose files `node` reads, in their order: its inputs, and what the weights among them are differences from.
  std::vector<std::size_t> read_by(std::size_t node) const;
};

/// `digest_of`: the checkpoint digest of a model source; asked once for each use. Takes time and memory in proportion to cells
/// and distinct stages.
Plan make_plan(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of);

}  // namespace holdfast
