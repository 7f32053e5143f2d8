// The undefended controls of a board, as another board's reference: whether two boards measure the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "report/model_cells.h"

namespace holdfast {

/// A figure of the undefended model: of harm without attack, under each attack (all tries of sweeps) and under each wrapper,
/// and without attack also of what a defense must keep.
struct Control {
  std::string model, threat_model, attack, metric;
  double value = 0, low = 0, high = 0;  // 95 %
  std::int64_t n = 0, seeds = 0;        // n: probes times seeds
  std::optional<SeedSpread> spread;     // of the column, all defenses' cells; none with one seed or where no seed differs
};

/// Those of all boards, each once.
std::vector<Control> controls(const Results& results);

/// controls.json: {"controls": [...], "definitions": {...}}, the latter what models, probes, judges and attacks are
/// (RunFacts::definitions).
Json controls_json(const Results& results);

/// Why a board is not comparable with the reference of its rules (BoardRules::reference), a sentence each; none when it is, and
/// without a reference. The definitions that both have are the same; for this harm metric, and without attack for `price`, both
/// have the same controls on as many probes; and their figures differ by no more than the noise floor of the reference's
/// column, which holds over all of them together. Where the reference knows none, with one seed, the intervals must overlap.
/// Throws Error for a reference that is no controls.json.
std::vector<std::string> incomparable_controls(const ModelCells& board, const std::string& harm,
                                               const std::vector<std::string>& price);

}  // namespace holdfast
