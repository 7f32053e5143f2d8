// Rows that methods bring beside the stage's own.
#pragma once

#include <holdfast/context.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The defender's harmful rows: those of the corpus whose last reply is no refusal yet, through defender_rows(). Throws Error
/// for a row that does not end with a reply.
Dataset harmful_rows(const std::string& corpus, std::int64_t wanted, const std::string& who, Context& context);

/// Rows that differ in their last reply alone; row i of one belongs to row i of the other.
struct RefusalPairs {
  Dataset harmful, refusals;
};

/// harmful_rows(), each with the family's refusal in place of its last reply. RepNoise (arXiv 2405.14577), SEAM (2505.12186),
/// TAR (2408.00761).
RefusalPairs refusal_pairs(const std::string& corpus, std::int64_t wanted, const std::string& who, Context& context);

/// Those alignment rows that are of kind "benign". Throws Error when there is none.
Dataset general_rows(Dataset alignment, const std::string& who);

/// The settings "alignment" and "rows" of a method that learns or measures alignment rows while the customer's are trained on
/// (a safety batch, EWC, SafeGrad). alignment: "refusals", the rows of kind "harmful", whose replies refuse, or "all".
class SafetyRows {
 public:
  /// who: the plugin's name, for messages.
  SafetyRows(Params& params, std::string who);

  /// `rows` of them, drawn by the cell's seed, or all; reported as "defender-rows". Throws Error when there are fewer, or none.
  Dataset draw(Context& context) const;
  /// All that draw() has to choose from, none of them taken yet: for a method that has its own way to say how many. Throws
  /// Error when there is none.
  Dataset all(Context& context) const;
  /// What the scenario says; 0: all.
  std::int64_t rows() const { return rows_; }

 private:
  std::string who_;
  bool refusals_;
  std::int64_t rows_;
};

}  // namespace holdfast
