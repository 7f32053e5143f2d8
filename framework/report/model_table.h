// The leaderboard of one model and one harm metric, as tables of text that a renderer draws.
#pragma once

#include <string>
#include <vector>

#include "report/effects.h"
#include "report/results.h"
#include "report/text_table.h"

namespace holdfast {

struct ModelTable {
  std::string model;
  std::string harm;  // id of the metric that the attack columns show
  TextTable main;    // a row a defense stack, the undefended one first
  TextTable spread;  // the same attack columns: least to most of the seeds
  TextTable
      outcomes;   // the same attack columns: safe / harmful / incoherent replies; no rows where the metric has no such parts
  TextTable cut;  // replies that were cut / without an answer; no rows of defenses that have none
  TextTable effects;                 // a row an attack and defense: what the defense changes of the harm
  TextTable costs;                   // a row a defense and price metric: what the defense changes without attack
  std::vector<std::string> notes;    // numbered from 1, as cells refer to them
  std::vector<std::string> reports;  // what stages said about themselves, a line each
};

/// What judges that give scores say ("score.rubric"): means by defense and attack, and what each defense changes.
struct ScoreTable {
  std::string metric;
  TextTable means;
  TextTable effects;
};
std::vector<ScoreTable> score_tables(const Results& results, const std::string& model);

/// The harm metrics that a model's cells have, the exact judge's first, then those that know incoherent replies apart.
std::vector<std::string> harm_metrics(const Results& results, const std::string& model);

/// What the defenses change: of every harm metric under every attack, and of every price metric without attack. Holm's method
/// is over each metric's effects.
std::vector<DefenseEffect> all_effects(const Results& results, const std::string& model);

ModelTable model_table(const Results& results, const std::string& model, const std::string& harm);

/// Pairs of judges: kappa, its interval, and the confusion of their yes and no.
TextTable agreement_table(const Results& results, const std::string& model);

/// Of the replies that the exact judge calls harmful, how many the keyword judge does not; empty without both judges.
std::string false_refusals(const Results& results, const std::string& model);

/// What the marks mean and how the ranking is made, a line each.
std::vector<std::string> legend();

}  // namespace holdfast
