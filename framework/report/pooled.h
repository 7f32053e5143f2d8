// Figures of equal cells on several seeds, taken together.
#pragma once

#include <cstdint>
#include <string>

#include "judge/metrics.h"
#include "report/outcomes.h"

namespace holdfast {

/// One metric of one (model, attack, defense) over the seeds whose cell is ok.
struct PooledMetric {
  double value = 0;            // mean over all probes of all seeds; of a perplexity the geometric one
  std::int64_t n = 0;          // probes times seeds
  double low = 0, high = 1;    // 95 %, seeds and probes both counted as samples (rate_interval, mean_interval)
  double least = 0, most = 0;  // smallest and largest value of a seed
  std::int64_t seeds = 0;
  Outcomes outcomes;  // empty when samples/ is gone; the interval then treats all replies as independent
};

/// A figure that a stage gave about itself, averaged over the seeds where it is finite.
struct PooledReport {
  double value = 0;
  std::int64_t seeds = 0;
  std::int64_t unknown = 0;  // seeds where it is not
};

/// Adds a seed, whose value is finite. Until finish() `value` is a sum.
void add(PooledMetric& pooled, const Metric& seed);
/// Adds a seed; NaN: not finite.
void add(PooledReport& pooled, double seed);

/// When all seeds and the outcomes are there: makes the sum a mean, and its interval.
void finish(PooledMetric& pooled, const std::string& id);
void finish(PooledReport& pooled);

}  // namespace holdfast
