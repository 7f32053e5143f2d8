// What a method does with rows that it gave scores.
#pragma once

#include <holdfast/context.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The places of the scores, the highest first; equal ones in the order in which they stand. `who` gave them, for the Error of
/// one that is no number.
std::vector<std::size_t> ranked(const std::vector<double>& scores, const std::string& who);

/// The settings "select", "count", "share" and "threshold" of a screen that drops the rows of the highest scores.
class TopRows {
 public:
  /// who: the plugin's name, for messages. share: what is dropped where the scenario says nothing.
  TopRows(Params& params, std::string who, double share);

  /// The rows without those, a score each; reported as "dropped". Throws Error for a `count` of more rows than there are.
  Dataset dropped(Dataset rows, const std::vector<double>& scores, Context& context) const;

 private:
  std::size_t number(const std::vector<double>& scores) const;

  std::string who_, select_;
  std::int64_t count_;
  double share_, threshold_;
};

}  // namespace holdfast
