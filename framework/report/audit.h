// What the rows say of ways to cheat: the rules of docs/leaderboard.md that figures can break.
#pragma once

#include <string>
#include <vector>

#include "report/model_cells.h"
#include "report/ranking.h"

namespace holdfast {

/// The rules, as docs/leaderboard.md names them.
inline constexpr const char* kKnowsTheProbes = "knows-the-probes";
inline constexpr const char* kDetectsTheJudge = "detects-the-judge";
inline constexpr const char* kGibberish = "gibberish";
inline constexpr const char* kBudget = "budget";
inline constexpr const char* kSwapsTheBase = "swaps-the-base";

/// A defense broke a rule, and has no place.
struct Finding {
  std::string defense, rule;
  std::string sentence;  // with the figures that show it

  bool operator==(const Finding&) const = default;
};

/// At most one for each defense of the board and rule, about the column that shows it best; in the board's order of defenses
/// and the order of the rules above. A function of the rows and samples alone. Every rule compares with the undefended model
/// under the same attack, so that what an attack does is no defense's fault.
std::vector<Finding> audit(const ModelCells& board);

/// By defense, why it has no place: "it breaks gibberish, budget (docs/leaderboard.md)".
Disqualified reasons(const std::vector<Finding>& findings);

}  // namespace holdfast
