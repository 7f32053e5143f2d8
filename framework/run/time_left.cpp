#include "run/time_left.h"

#include <algorithm>

namespace holdfast {

void Pace::add(StageKind kind, double spent, double expected) {
  Paid& paid = paid_[static_cast<std::size_t>(kind)];
  paid.spent += spent;
  paid.expected += expected;
}

double Pace::of(StageKind kind) const {
  const Paid& same = paid_[static_cast<std::size_t>(kind)];
  return same.expected > 0 ? same.spent / same.expected : of_all();
}

double Pace::of_all() const {
  Paid all;
  for (const auto& paid : paid_) {
    all.spent += paid.spent;
    all.expected += paid.expected;
  }
  return all.expected > 0 ? all.spent / all.expected : 1;
}

double seconds_left(const StageGraph& graph, const Schedule& schedule, Pace pace, const std::vector<Underway>& running,
                    std::size_t workers) {
  for (const auto& stage : running) {  // a stage that knows how far it is says how fast its kind is
    if (stage.part > 0) pace.add(stage.kind, stage.spent, stage.part * stage.seconds);
  }
  double work = 0;
  for (const auto& info : stage_kinds()) work += pace.of(info.kind) * graph.seconds_left(info.kind);
  double longest = pace.of_all() * schedule.longest();
  for (const auto& stage : running) {
    const double whole = pace.of(stage.kind) * stage.seconds;
    const double left = stage.part > 0 ? stage.spent * (1 - stage.part) / stage.part : std::max(0.0, whole - stage.spent);
    work += left - whole;
    longest = std::max(longest, left + pace.of_all() * (stage.path - stage.seconds));
  }
  return std::max(longest, work / static_cast<double>(workers));
}

}  // namespace holdfast
