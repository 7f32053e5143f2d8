// The scenario that defines the closed division of a leaderboard.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/json.h"

namespace holdfast::cli {

inline constexpr const char* kBoardScenario = "scenarios/leaderboard.toml";

/// It as run.json would have it. Throws Error when it is not there or is wrong.
Json closed_division(const CLI::App& app, const std::string& board);

}  // namespace holdfast::cli
