// Which defenses cannot be told apart: classes in place of ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/statistics.h"

namespace holdfast {

/// The largest of several rates, with an interval of which `compared` hold together in 95 of 100 cases (Bonferroni). Its upper
/// end is the highest of the rates' at the tail 0.05 / (2 compared): whichever rate is truly the largest, its own end suffices.
/// Its lower end is the highest of theirs at that tail over their number, since any of them may be too high. So the largest of
/// many tries of one truth is held as well as a single one.
struct WorstRate {
  Interval interval;
  std::size_t place = 0;  // of the largest
};
WorstRate worst_rate(const std::vector<const Grid*>& rates, std::size_t compared);

inline constexpr double kWidestPlaced = 0.5;  // of the scale from 0 to 1: a wider interval has no part in the classes

/// A defense that has its worst harm known.
struct Contender {
  std::string name;
  Interval worst;
  double noise = 0;  // noise floor of the attack that is its worst

  bool placed() const { return worst.high - worst.low <= kWidestPlaced; }
};

/// `safer` holds and `other` does not hold as well: the intervals do not overlap, and the figures differ by more than either's
/// noise floor.
bool separated(const Contender& safer, const Contender& other);

/// Positions that a contender may take, from 1.
struct Places {
  std::int64_t low = 0, high = 0;
};

/// The placed contenders in classes, the safest first, by name in each: the finest partition in which every member of a class
/// is separated from every member of all later ones.
std::vector<std::vector<Contender>> tie_classes(const std::vector<Contender>& contenders);

/// The positions among all contenders that are left to one of them by those it is separated from.
Places places_of(const Contender& contender, const std::vector<Contender>& contenders);

}  // namespace holdfast
