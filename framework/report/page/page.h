// leaderboard.html: all boards of the results as one file that asks for nothing else. Style, script and pictures are inside;
// the first harm metric of each board is markup, which is read without script; the other metrics and the story of each cell are
// packed data, which the script unpacks when it is asked for them.
#pragma once

#include <cstdint>
#include <string>

#include "report/results.h"

namespace holdfast {

/// Which samples stand in the stories.
struct PageSamples {
  std::int64_t each = 0;  // the first so many of each kind of probe, of every cell
  bool text = false;      // with prompts and replies, where samples/ holds them
};

struct EmbeddedSamples {
  std::int64_t count = 0, with_text = 0;
};

/// Throws Error when samples or their text are asked for and samples/ holds none.
std::string leaderboard_page(const Results& results, const PageSamples& samples);

}  // namespace holdfast
