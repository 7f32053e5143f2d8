#include "run/crew.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <utility>

#include "base/seconds_since.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostRounds = 3;  // of starting all of them, with nothing done

}  // namespace

Crew::Crew(std::unique_ptr<Launcher> launcher, std::vector<WorkerClass> classes, fs::path logs, CrewPauses pauses)
    : launcher_(std::move(launcher)), classes_(std::move(classes)), logs_(std::move(logs)), pauses_(pauses) {}

std::size_t Crew::wanted() const {
  std::int64_t sum = 0;
  for (const auto& each : classes_) sum += each.count;
  return static_cast<std::size_t>(sum);
}

// Nothing where the launcher cannot tell. Those of an earlier run go on for this one.
std::optional<std::int64_t> Crew::missing() {
  looked_ = Clock::now();
  const std::optional<std::int64_t> started = launcher_->started();
  if (begun_ && !started) return std::nullopt;
  return static_cast<std::int64_t>(wanted()) - std::max(static_cast<std::int64_t>(there_), started.value_or(0));
}

void Crew::begin() {
  const auto missing = this->missing();
  begun_ = true;
  seen_ = Clock::now();
  start(missing.value_or(0));
}

void Crew::note(std::size_t there, std::size_t waiting) {
  there_ = there;
  if (!begun_) return;
  tell_if_none_comes(waiting);
  if (waiting == 0 || seconds_since(looked_) < pauses_.between_looks) return;
  start(std::min(missing().value_or(0), static_cast<std::int64_t>(waiting)));
}

void Crew::done(std::size_t stages) {
  if (stages > done_) starts_ = 0;
  done_ = stages;
}

// Of several kinds each is started in its share.
void Crew::start(std::int64_t count) {
  if (count <= 0) return;
  if (starts_ >= kMostRounds * static_cast<std::int64_t>(wanted())) {
    throw Error("workers end as soon as they begin, " + std::to_string(starts_) + " did: see " + logs_.string());
  }
  starts_ += count;
  for (const auto& each : classes_) {
    const std::int64_t part = std::min(count, each.count);
    if (part > 0) launcher_->start({each.device, part});
    count -= part;
  }
}

void Crew::tell_if_none_comes(std::size_t waiting) {
  if (there_ > 0) told_ = false;
  if (there_ > 0 || waiting == 0) seen_ = Clock::now();
  if (told_ || seconds_since(seen_) < pauses_.until_told) return;
  told_ = true;
  log_warning("no worker has shown itself for " + std::to_string(static_cast<long>(pauses_.until_told)) +
              " s while work waits: see whether the batch system has begun them, and what they printed (" + logs_.string() +
              ", unless the launcher's line sends it elsewhere)");
}

}  // namespace holdfast
