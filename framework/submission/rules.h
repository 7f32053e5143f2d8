// The rules of docs/leaderboard.md that a run is held against, by the names that they have there.
#pragma once

#include <string>
#include <vector>

#include "submission/entry.h"

namespace holdfast {

inline constexpr const char* kSeeds = "seeds";
inline constexpr const char* kAllCells = "all-cells";
inline constexpr const char* kControls = "controls";
inline constexpr const char* kSamples = "samples";
inline constexpr const char* kClosedDivision = "closed-division";
inline constexpr const char* kPlugins = "plugins";

struct Broken {
  std::string rule;
  std::string sentence;  // what was found, and what was expected
};

/// "seeds: the scenario declares 3 seeds, ..."
std::string to_string(const Broken& broken);

/// The rules that the rows, the samples and run.json break, each with its first sign. `board`: the scenario of the closed
/// division as JSON, which only such an entry is held against; null for the open one.
std::vector<Broken> broken_rules(const Entry& entry, const Json& board);

/// Whether each row's figures are those of its samples; the rule kSamples else.
std::vector<Broken> broken_samples(const Entry& entry);

}  // namespace holdfast
