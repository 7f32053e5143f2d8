#include "run/local_workers.h"

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMilliseconds = 200;

StageEnd end_of_stage(const Json& answer) {
  const auto status = answer.at("status").get<std::string>();
  if (status == "ok") {
    return StageDone{answer.at("digest").get<std::string>(), answer.at("cost").value("seconds", 0.0),
                     answer.at("bytes").get<std::uint64_t>()};
  }
  auto message = answer.at("message").get<std::string>();
  if (status != "corrupt") return StageFailed{std::move(message)};
  return StageDamaged{stage_kind(answer.at("kind").get<std::string>()), answer.at("key").get<std::string>(),
                      std::move(message)};
}

}  // namespace

// A worker's place.
struct LocalWorkers::Slot {
  std::unique_ptr<WorkerProcess> process;
  bool busy = false;
  bool late = false;
  Clock::time_point deadline;
  std::set<std::string> warm;  // as it said last

  void end_process() {
    process.reset();
    warm.clear();
  }
};

LocalWorkers::LocalWorkers(WorkerSetup setup, std::int64_t count, double stage_timeout)
    : setup_(std::move(setup)), stage_timeout_(stage_timeout), slots_(static_cast<std::size_t>(count)) {}

LocalWorkers::~LocalWorkers() = default;

std::size_t LocalWorkers::count() const { return slots_.size(); }

bool LocalWorkers::is_free(std::size_t worker) const { return !slots_[worker].busy; }

const std::set<std::string>& LocalWorkers::warm(std::size_t worker) const { return slots_[worker].warm; }

void LocalWorkers::give(std::size_t worker, const StageRequest& request) {
  Slot& slot = slots_[worker];
  if (!slot.process) slot.process = std::make_unique<WorkerProcess>(setup_);
  slot.busy = true;
  slot.late = false;
  slot.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(stage_timeout_));
  slot.process->send(to_json(request));  // a worker that died meanwhile shows in its answers
}

std::vector<WorkerNews> LocalWorkers::wait() {
  std::vector<pollfd> watched;
  std::vector<std::size_t> owners;
  for (std::size_t worker = 0; worker < slots_.size(); ++worker) {
    if (!slots_[worker].process) continue;
    watched.push_back({slots_[worker].process->answers(), POLLIN, 0});
    owners.push_back(worker);
  }
  std::vector<WorkerNews> news;
  if (::poll(watched.data(), watched.size(), kPollMilliseconds) > 0) {
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].revents != 0) take_lines(owners[i], news);
    }
  }
  stop_late();
  return news;
}

void LocalWorkers::take_lines(std::size_t worker, std::vector<WorkerNews>& news) {
  Slot& slot = slots_[worker];
  auto line = slot.process->receive();
  if (!line && slot.process->ended()) return take_death(worker, news);
  for (; line; line = slot.process ? slot.process->next_received() : std::nullopt) {
    if (line->contains("progress")) {
      news.push_back({worker, StageProgress{line->at("progress")}});
      continue;
    }
    slot.busy = false;
    slot.warm = line->at("warm").get<std::set<std::string>>();
    // One that answered while it was being stopped, or whose state nobody knows.
    if (slot.late || line->value("broken", false)) slot.end_process();
    news.push_back({worker, end_of_stage(*line)});
  }
}

void LocalWorkers::take_death(std::size_t worker, std::vector<WorkerNews>& news) {
  Slot& slot = slots_[worker];
  std::string how = slot.process->death();
  slot.end_process();
  if (!std::exchange(slot.busy, false)) return;
  if (slot.late) {
    news.push_back({worker, StageEnd(StageTimedOut{stage_timeout_})});
  } else {
    news.push_back({worker, StageEnd(WorkerDied{std::move(how)})});
  }
}

void LocalWorkers::stop_late() {
  for (auto& slot : slots_) {
    if (!slot.busy || slot.late || Clock::now() < slot.deadline) continue;
    slot.late = true;
    slot.process->kill();
  }
}

void LocalWorkers::stop() {
  for (auto& slot : slots_) {
    slot.end_process();
    slot.busy = false;
  }
}

}  // namespace holdfast
