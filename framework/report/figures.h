// Numbers as tables and sentences print them.
#pragma once

#include <cstdint>
#include <string>

#include "report/pooled.h"

namespace holdfast {

/// With so many digits after the point, whatever the locale of streams.
std::string fixed(double value, int digits);
/// A share in whole percent.
std::string percent(double share);
/// A share with its interval, in whole percent: "90 (86-93)".
std::string percent_interval(const Interval& share);
/// A difference of shares in whole points, with its sign.
std::string points(double difference);
/// A p value; "<0.001" below that.
std::string p_text(double p);
/// "1 seed", "3 seeds".
std::string counted(std::int64_t n, const std::string& noun);
/// A metric's value: a share in percent; a perplexity as it is, and so a score, which may pass 1.
std::string figure(const std::string& metric, double value);
/// The same with its interval: "90 (86-93)".
std::string with_interval(const std::string& metric, const PooledMetric& pooled);

}  // namespace holdfast
