// Intervals, tests and yardsticks of a table of cells.
//
// A metric of a cell is a grid: a row a seed, a column a probe. Both are samples: other seeds and other probes would have given
// other means. With few seeds most of the doubt is about the seeds, so every interval here widens with the differences among
// them; a grid of one row says nothing about other seeds, and its intervals are about the probes only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace holdfast {

/// Outcomes [seed][probe]; all rows have the same probes in the same order, at least one.
using Grid = std::vector<std::vector<double>>;

/// An estimate with its 95 % interval.
struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// Sampling variance of a grid's mean, or of the covariance of two grids' means, and the degrees of freedom it is known with.
/// Two-way random effects: with mean squares of seeds A, of probes B and of the rest E over S seeds and P probes,
/// var = (max(A, E) + max(B, E) - E) / (S P); Satterthwaite's degrees of freedom. One seed: the variance over probes.
struct Variance {
  double value = 0;
  double freedom = 0;
};
Variance variance_of_mean(const Grid& grid);

inline constexpr double kTail = 0.025;

inline constexpr std::uint64_t kBootstrapSeed = 1;  // of every bootstrap of a report: the same rows give the same figures

/// A rate: Wilson's score interval of an effective number of trials, so many as would give the variance of variance_of_mean,
/// with Student's quantile of its degrees of freedom in place of the normal one (Korn and Graubard 1998 do so for survey
/// samples). Where all outcomes are equal the variance shows nothing, and each probe counts once. The tails are the
/// probabilities of a truth below and above. Outcomes between 0 and 1 are taken as a coin of that chance, which varies most.
Interval rate_interval(const Grid& grid, double below = kTail, double above = kTail);

/// The sorted means of a bootstrap at two levels: what mean_interval and bootstrap_p read off. `threads` 0: all cores; the
/// result does not depend on it.
std::vector<double> bootstrap_means(const Grid& grid, std::uint64_t seed, int replicates, int threads = 0);

/// A mean of scores: percentile bootstrap at two levels. Each replicate draws seeds and draws probes, both with replacement,
/// and uses every drawn probe in every drawn seed. The seeds' part is widened by sqrt(S / (S - 1)) t(S - 1) / z, without which
/// a bootstrap of three seeds holds the truth far too seldom. A pure function of its arguments, whatever the number of threads:
/// replicate n draws from a counter-based stream of its own.
Interval mean_interval(const Grid& grid, std::uint64_t seed, int replicates = 4000);

/// mean(after) - mean(before) of rates on the same seeds and probes: Newcombe's square-and-add interval (1998, method 10) of
/// the two rate_intervals, with the correlation of the two means.
Interval rate_difference(const Grid& before, const Grid& after);

/// mean(after) - mean(before) of scores on the same seeds and probes: mean_interval of the differences.
Interval mean_difference(const Grid& before, const Grid& after, std::uint64_t seed, int replicates = 4000);

/// Two-sided p of "on these seeds' models the change is as likely up as down on every probe". Exact: each probe's summed change
/// flips its sign or not, all ways equally likely. With one seed this is McNemar's exact test. For outcomes of 0 and 1.
double mcnemar_p(const Grid& before, const Grid& after);

/// Two-sided bootstrap p of "the mean difference is 0", for scores; from the replicates of mean_difference.
double bootstrap_p(const Grid& before, const Grid& after, std::uint64_t seed, int replicates = 4000);

/// Holm's step-down adjustment (1979), in the order given: p that hold over all of them together.
std::vector<double> holm(const std::vector<double>& p);

/// Smallest true difference that cells like these two would find with 80 % power at the 5 % level: (z(.975) + z(.8)) standard
/// errors of the difference, and for rates at least what McNemar's test needs to reject at all (six probes).
double minimum_detectable_effect(const Grid& before, const Grid& after);

/// Standard deviation of seed means about their cell's mean, pooled over cells, and the degrees of freedom it is known with.
/// Empty when no grid has two seeds.
struct SeedSpread {
  double deviation = 0;
  double freedom = 0;
};
std::optional<SeedSpread> seed_spread(const std::vector<Grid>& grids);

/// What the differences of two equal cells, one on so many seeds and one on so many others, stay below: all of `comparisons`
/// of them together in 95 of 100 cases. t sd sqrt(1 / S + 1 / S'), the level shared by Bonferroni's rule.
double noise_floor(const SeedSpread& spread, double seeds, double other_seeds, std::size_t comparisons = 1);

/// The same for one pair of cells of the grids, both on as many seeds as the grid with most has. Empty when none has two.
std::optional<double> noise_floor(const std::vector<Grid>& grids);

/// How two judges of the same replies agree on a yes-or-no question.
struct Agreement {
  std::array<std::array<std::int64_t, 2>, 2> counts{};  // [first says][second says]
  Interval kappa;                                       // Cohen's kappa; the interval from a bootstrap over probes
};

/// `by_probe`: the counts of each probe's replies; replies to one probe are alike, so probes are what is drawn.
Agreement agreement(const std::vector<std::array<std::array<std::int64_t, 2>, 2>>& by_probe, std::uint64_t seed,
                    int replicates = 2000);

}  // namespace holdfast
