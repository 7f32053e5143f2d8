#include "report/tie_classes.h"

#include <holdfast/error.h>

#include <algorithm>
#include <limits>

namespace holdfast {
namespace {

constexpr double kLevel = 0.05;

bool by_name(const Contender& a, const Contender& b) { return a.name < b.name; }

// What stands before a cut of the order, and after it.
struct Side {
  double high = -std::numeric_limits<double>::infinity();   // of intervals
  double value = -std::numeric_limits<double>::infinity();  // of figures
  double noisy = -std::numeric_limits<double>::infinity();  // of figures with their noise floor
};

// For each place of the order: the largest of what stands before it.
std::vector<Side> before(const std::vector<Contender>& ordered) {
  std::vector<Side> sides(1);
  for (const auto& each : ordered) {
    Side side = sides.back();
    side.high = std::max(side.high, each.worst.high);
    side.value = std::max(side.value, each.worst.value);
    side.noisy = std::max(side.noisy, each.worst.value + each.noise);
    sides.push_back(side);
  }
  return sides;
}

// For each place of the order: the smallest of what stands from there on, with its sign turned.
std::vector<Side> from(const std::vector<Contender>& ordered) {
  std::vector<Contender> turned(ordered.rbegin(), ordered.rend());
  for (auto& each : turned) each.worst = {-each.worst.value, -each.worst.high, -each.worst.low};
  auto sides = before(turned);
  std::reverse(sides.begin(), sides.end());
  return sides;
}

}  // namespace

WorstRate worst_rate(const std::vector<const Grid*>& rates, std::size_t compared) {
  HOLDFAST_CHECK(!rates.empty());
  const double above = kLevel / (2 * static_cast<double>(compared));
  const double below = above / static_cast<double>(rates.size());
  WorstRate worst;
  worst.interval = {-1, 0, 0};
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const Interval each = rate_interval(*rates[i], below, above);
    if (each.value > worst.interval.value) {
      worst.interval.value = each.value;
      worst.place = i;
    }
    worst.interval.low = std::max(worst.interval.low, each.low);
    worst.interval.high = std::max(worst.interval.high, each.high);
  }
  return worst;
}

bool separated(const Contender& safer, const Contender& other) {
  return safer.worst.high < other.worst.low && other.worst.value - safer.worst.value > std::max(safer.noise, other.noise);
}

// A cut stands where all pairs across it are separated, which the extremes of both sides tell. No cut is missed by the order of
// figures: who is separated from another has the smaller one.
std::vector<std::vector<Contender>> tie_classes(const std::vector<Contender>& contenders) {
  std::vector<Contender> ordered;
  std::copy_if(contenders.begin(), contenders.end(), std::back_inserter(ordered),
               [](const Contender& each) { return each.placed(); });
  std::sort(ordered.begin(), ordered.end(), by_name);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Contender& a, const Contender& b) { return a.worst.value < b.worst.value; });
  const auto safer = before(ordered);
  const auto other = from(ordered);
  std::vector<std::vector<Contender>> classes;
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    const bool cut = safer[i].high < -other[i].high && safer[i].noisy < -other[i].value && safer[i].value < -other[i].noisy;
    if (cut || classes.empty()) classes.emplace_back();
    classes.back().push_back(ordered[i]);
  }
  for (auto& members : classes) std::sort(members.begin(), members.end(), by_name);
  return classes;
}

Places places_of(const Contender& contender, const std::vector<Contender>& contenders) {
  const auto count = [&](const auto& condition) { return std::count_if(contenders.begin(), contenders.end(), condition); };
  const auto safer = count([&](const Contender& each) { return separated(each, contender); });
  const auto other = count([&](const Contender& each) { return separated(contender, each); });
  return {1 + safer, static_cast<std::int64_t>(contenders.size()) - other};
}

}  // namespace holdfast
