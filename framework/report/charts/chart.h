// The pictures of a board: each as SVG, with the data it shows and a specification that other tools draw. A picture is a pure
// function of its input: same rows, same bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/effort.h"
#include "report/model_cells.h"
#include "report/ranking.h"
#include "results/curve.h"

namespace holdfast {

struct Chart {
  std::string name;       // what kind of picture, safe in a file's name: "heat-map"
  std::string title;      // for people
  std::string about;      // what it shows and how to read it
  std::string svg;        // for a page that holds chart_rules() and chart_variables(); chart_file() makes a file of it
  std::string csv;        // the figures, a line a row, with the fields' names first
  std::string vega_lite;  // version 5, with the same figures inside
};

/// What a picture is of.
struct ChartSubject {
  std::string id;     // distinct for each board and harm metric, safe in file names and ids: "organism-leak.organism"
  std::string title;  // the model, and whether its weights are in the attacker's hands
  std::string harm;   // the harm metric's id
};
ChartSubject chart_subject(const ModelCells& board, const std::string& harm);

/// All pictures of one board and harm metric, in a page's order; those without data are left out. A sweep's column shows the
/// try that is worst among those that count. `disqualified`: what the tables beside them know.
std::vector<Chart> charts(const ModelCells& board, const std::string& harm, const Disqualified& disqualified = {});

/// A board with its places: what each picture is made from.
struct ChartBoard {
  ChartBoard(const ModelCells& board, const std::string& harm_metric, const Disqualified& disqualified = {});

  std::string harm;
  ChartSubject subject;
  const Ranking& ranking;
  ModelCells cells;  // by the harm, among what counts
};

// Each is nothing where there is nothing to show.

/// The worst case of each defense with its simultaneous interval, class and place.
std::optional<Chart> worst_cases(const ChartBoard& board);

/// Attacks x defenses: harm by colour and figure, its interval, what the defense changed, and whether it holds.
std::optional<Chart> heat_map(const ChartBoard& board);

/// Worst harm over the attacks against mean utility without an attack, with the Pareto front.
std::optional<Chart> safety_utility_plane(const ChartBoard& board);

/// Refusals of ordinary and borderline requests, without an attack.
std::optional<Chart> over_refusal(const ChartBoard& board);

/// The most harm that an attacker found, against the number of his tries and against seconds.
std::optional<Chart> effort_by_tries(const ChartSubject& subject, const SweepEffort& effort);
std::optional<Chart> effort_by_seconds(const ChartSubject& subject, const SweepEffort& effort);

/// What safety costs and what it costs to remove it.
struct CostLine {
  std::string defense;
  std::optional<double> align, extra;  // to align; more than the undefended model's, for the defense
  std::optional<double> to_break;      // of the cheapest attack that was enough
  std::string unbroken;                // where there is none: why, in a word or two
  std::optional<double> ratio;         // of what was paid for safety to what removes it
};
/// `unit`: what the figures are in, such as "seconds" or "USD".
std::optional<Chart> costs(const ChartSubject& subject, const std::string& unit, const std::vector<CostLine>& lines);

/// The loss of a training over its steps, small: an svg and no more, since its file is the curve itself. `id`: distinct among
/// the drawings of a page. Empty without two finite points.
std::string training_curve(const std::vector<CurvePoint>& curve, const std::string& id, const std::string& title);

}  // namespace holdfast
