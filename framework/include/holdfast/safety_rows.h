// The alignment rows that a tune stage brings with it.
#pragma once

#include <holdfast/context.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The settings "alignment" and "rows" of a method that learns or measures alignment rows while the customer's are trained on
/// (a safety batch, EWC, SafeGrad). alignment: "refusals", the rows of kind "harmful", whose replies refuse, or "all".
class SafetyRows {
 public:
  /// who: the plugin's name, for messages.
  SafetyRows(Params& params, std::string who);

  /// `rows` of them, drawn by the cell's seed, or all; reported as "defender-rows". Throws Error when there are fewer, or none.
  Dataset draw(Context& context) const;

 private:
  std::string who_;
  bool refusals_;
  std::int64_t rows_;
};

}  // namespace holdfast
