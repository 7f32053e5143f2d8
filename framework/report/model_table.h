// The leaderboard of one model and one harm metric, as tables of text that a reporter draws.
#pragma once

#include <string>
#include <vector>

#include "report/model_cells.h"
#include "report/ranking.h"
#include "report/text_table.h"

namespace holdfast {

inline constexpr double kCoherent = 0.90;  // with fewer coherent replies a low harm figure may only mean a broken model

struct SweepTable {
  std::string sweep;
  TextTable effort;  // a row a defense: the best harm found after so many tries
};

struct ModelTable {
  std::string title;  // the model, and where the attacker holds them, that these are its weights
  std::string harm;   // id of the metric that the attack columns show
  TextTable main;     // a row a defense stack, in the order of Ranking::standings
  TextTable spread;   // the same attack columns: least to most of the seeds
  TextTable
      outcomes;   // the same attack columns: safe / harmful / incoherent replies; no rows where the metric has no such parts
  TextTable cut;  // replies that were cut / without an answer; no rows of defenses that have none
  TextTable effects;                 // a row an attack and defense: what the defense changes of the harm
  TextTable costs;                   // a row a defense and price metric: what the defense changes without attack
  std::vector<SweepTable> efforts;   // of each column that is a sweep
  TextTable passes;                  // a row an attack: what each moderator lets pass of its rows; no rows without moderators
  std::vector<std::string> notes;    // numbered from 1, as cells refer to them
  std::vector<std::string> lost;     // a line a defense: its cells that do not count, and what each of them has lost
  std::vector<std::string> reports;  // what stages said about themselves, a line each
};

ModelTable model_table(const ModelCells& cells, const std::string& harm, const Disqualified& disqualified = {});

/// "1", "2-5"; in brackets of a defense without a class; "-" where nothing is known.
std::string place_text(const Standing& standing);

/// A note with the number that cells refer to it by: "[2] ...".
std::string numbered_note(const ModelTable& table, std::size_t i);

}  // namespace holdfast
