// The leaderboard of one model, as cells of text that a renderer draws.
#pragma once

#include <string>
#include <vector>

#include "report/results.h"

namespace holdfast {

enum class Mark { kNone, kHolds, kBroken };

struct TableCell {
  std::string text;
  Mark mark = Mark::kNone;
};

struct ModelTable {
  std::string model;
  std::string harm;  // id of the metric that the attack columns show
  std::vector<std::string> header;
  std::vector<std::vector<TableCell>> rows;    // a defense stack each, the undefended one first
  std::vector<std::vector<TableCell>> spread;  // the same attack columns: least to most of the seeds
  std::vector<std::string> notes;              // numbered from 1, as cells refer to them
  std::vector<std::string> reports;            // what stages said about themselves, a line each
};

ModelTable model_table(const Results& results, const std::string& model);

/// What the marks mean and how the ranking is made, a line each.
std::vector<std::string> legend();

}  // namespace holdfast
