// Intervals that need more than one cell.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

/// One seed's outcomes of the same probes, in the same order, in two cells.
struct PairedOutcomes {
  std::vector<double> first;
  std::vector<double> second;
};

/// A difference of two means with its 95 % interval.
struct Difference {
  double value;
  double low;
  double high;
};

/// mean(second) - mean(first) over seeds and probes. Percentile bootstrap at two levels: each replicate draws seeds and draws
/// probes, both with replacement, and uses every drawn probe in every drawn seed; so probes that are hard in every seed, and
/// seeds that are high on every probe, widen the interval as they should. All seeds hold the same probes in the same order.
/// A pure function of its arguments.
Difference paired_difference(const std::vector<PairedOutcomes>& seeds, std::uint64_t bootstrap_seed, int replicates = 4000);

}  // namespace holdfast
