#include <algorithm>

#include "work/stage_work.h"

namespace holdfast {
namespace {

// How many of the rows come out as they went in.
std::int64_t passed(const Dataset& rows, Dataset kept) {
  std::int64_t count = 0;
  for (const auto& row : rows) {
    const auto found = std::find(kept.begin(), kept.end(), row);
    if (found == kept.end()) continue;
    kept.erase(found);
    ++count;
  }
  return count;
}

}  // namespace

void screen(StageWork& work) {
  const DefenseStages stages = work.defense(work.task().at("plugin"));
  const Dataset rows = work.input_data();
  const Dataset kept = stages.screen->screen(rows, work.context());
  const auto all = static_cast<std::int64_t>(rows.size());
  if (work.task().contains("counts_passed") && all > 0)
    work.context().report(kPasses, static_cast<double>(passed(rows, kept)) / static_cast<double>(all), all);
  work.write_data(kept);
}

}  // namespace holdfast
