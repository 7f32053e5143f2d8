// What the defenses change, as tables and scores.
#pragma once

#include <string>
#include <vector>

#include "report/effects.h"
#include "report/model_cells.h"
#include "report/text_table.h"

namespace holdfast {

/// What each defense changes of the harm, a row an attack and defense; of a sweep the try that the board shows.
TextTable harm_effect_table(const ModelCells& cells, const std::string& harm);

/// What each defense changes without an attack, a row a price metric and defense.
TextTable price_effect_table(const ModelCells& cells, const std::vector<std::string>& price);

/// What judges that give scores say ("score.rubric"): means by defense and attack, and what each defense changes.
struct ScoreTable {
  std::string metric;
  TextTable means;
  TextTable effects;
};
std::vector<ScoreTable> score_tables(const ModelCells& cells);

/// What the defenses change: of every harm metric under every attack, and of every price metric without attack. Holm's method
/// is over each metric's effects.
std::vector<DefenseEffect> all_effects(const ModelCells& cells);

}  // namespace holdfast
