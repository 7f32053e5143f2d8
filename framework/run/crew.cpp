#include "run/crew.h"

#include <holdfast/error.h>

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

constexpr std::chrono::seconds kBetweenStarts(10);  // a worker needs a moment until it shows a beat
constexpr std::int64_t kMostRounds = 3;             // of starting all of them, with nothing done

}  // namespace

Crew::Crew(std::unique_ptr<Launcher> launcher, std::vector<WorkerClass> classes, fs::path logs)
    : launcher_(std::move(launcher)), classes_(std::move(classes)), logs_(std::move(logs)) {}

std::size_t Crew::wanted() const {
  std::int64_t sum = 0;
  for (const auto& each : classes_) sum += each.count;
  return static_cast<std::size_t>(sum);
}

// Those of an earlier run go on for this one. Of several kinds each is started in its share.
void Crew::keep(std::size_t there) {
  if (begun_ && Clock::now() - started_ < kBetweenStarts) return;
  const std::optional<std::int64_t> started = launcher_->started();
  if (begun_ && !started) return;
  const auto wanted = static_cast<std::int64_t>(this->wanted());
  std::int64_t missing = wanted - std::max(static_cast<std::int64_t>(there), started.value_or(0));
  started_ = Clock::now();
  begun_ = true;
  if (missing <= 0) return;
  if (starts_ >= kMostRounds * wanted) {
    throw Error("workers end as soon as they begin, " + std::to_string(starts_) + " did: see " + logs_.string());
  }
  starts_ += missing;
  for (const auto& each : classes_) {
    const std::int64_t part = std::min(missing, each.count);
    if (part > 0) launcher_->start({each.device, part});
    missing -= part;
  }
}

}  // namespace holdfast
