// Defenses x attacks as a table of figures whose ground says how much: what people read first, with script or without.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/model_cells.h"
#include "report/ranking.h"
#include "report/text_table.h"

namespace holdfast {

struct HeatTable {
  std::string caption;
  std::string metric;  // what the attack columns show
  bool heat = false;   // whether it is a share of harm, which has a ground
  TextTable figures;   // "defense", a column an attack of the board, and others; a row a defense
  std::map<std::pair<std::string, std::string>, std::string> changes;  // by attack and defense: effect_word
};

/// Rows in the order of the standings; controls before attacks. Columns and rows name their attack and defense by place in the
/// board (data-a, data-d), which the script opens a cell's story by.
std::string html_of(const HeatTable& table, const ModelCells& cells, const Ranking& ranking);

/// The place of a name.
std::size_t place_in(const std::vector<std::string>& names, const std::string& name);

}  // namespace holdfast
