#include "run/local_workers.h"

#include <holdfast/log.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "run/passed_output.h"
#include "store/store.h"
#include "work/network_need.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMilliseconds = 200;

}  // namespace

StageEnd end_of_stage(const Json& answer) {
  const auto status = answer.at("status").get<std::string>();
  if (status == "ok") {
    return StageDone{answer.at("digest").get<std::string>(), answer.at("cost").value("seconds", 0.0),
                     answer.at("bytes").get<std::uint64_t>()};
  }
  if (status == "stopped") return StageStopped{};
  auto message = answer.at("message").get<std::string>();
  if (status != "corrupt") return StageFailed{std::move(message), answer.value("broken", false)};
  return StageDamaged{stage_kind(answer.at("kind").get<std::string>()), answer.at("key").get<std::string>(),
                      std::move(message)};
}

// A worker's place.
struct LocalWorkers::Slot {
  std::unique_ptr<WorkerProcess> process;
  std::set<std::size_t> running;  // places of the stages that have not ended
  bool broken = false;            // one of them left it in a state that nobody knows
  bool late = false;
  bool asked_to_stop = false;
  bool network = false;  // the process has it
  PassedOutput output;
  double limit = 0;  // seconds
  Clock::time_point deadline;
  std::set<std::string> warm;  // as it said last

  bool busy() const { return !running.empty(); }
  void end_process() {
    process.reset();
    warm.clear();
    broken = asked_to_stop = false;
  }
};

LocalWorkers::LocalWorkers(WorkerSetup setup, std::int64_t count, double stage_timeout)
    : setup_(std::move(setup)), stage_timeout_(stage_timeout), slots_(static_cast<std::size_t>(count)) {}

LocalWorkers::~LocalWorkers() = default;

std::size_t LocalWorkers::count() const { return slots_.size(); }

bool LocalWorkers::is_free(std::size_t worker) const { return !slots_[worker].busy(); }

const std::set<std::string>& LocalWorkers::warm(std::size_t worker) const { return slots_[worker].warm; }

bool LocalWorkers::give(std::size_t worker, const std::vector<StageRequest>& requests) {
  Slot& slot = slots_[worker];
  const bool network = setup_.limits.network || std::any_of(requests.begin(), requests.end(), needs_network);
  if (slot.process && slot.network != network) slot.end_process();
  if (!slot.process) {
    WorkerSetup setup = setup_;
    setup.number += worker;
    setup.limits.network = slot.network = network;
    slot.process = std::make_unique<WorkerProcess>(setup);
  }
  slot.late = false;
  slot.output.begin();
  slot.limit = stage_timeout_ * static_cast<double>(requests.size());
  slot.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(slot.limit));
  Json list = Json::array();
  for (const auto& request : requests) {
    slot.running.insert(list.size());
    list.push_back(to_json(request));
  }
  slot.process->send(list);  // a worker that died meanwhile shows in its answers
  return true;
}

std::vector<WorkerNews> LocalWorkers::wait() {
  std::vector<pollfd> watched;
  std::vector<std::size_t> owners;
  for (std::size_t worker = 0; worker < slots_.size(); ++worker) {
    if (!slots_[worker].process) continue;
    for (const int end : {slots_[worker].process->answers(), slots_[worker].process->output()}) {
      if (end < 0) continue;
      watched.push_back({end, POLLIN, 0});
      owners.push_back(worker);
    }
  }
  std::vector<WorkerNews> news;
  if (::poll(watched.data(), watched.size(), kPollMilliseconds) > 0) {
    for (std::size_t i = 0; i < watched.size(); ++i) {
      const auto& process = slots_[owners[i]].process;
      if (watched[i].revents == 0 || !process) continue;
      if (watched[i].fd == process->output()) {
        slots_[owners[i]].output.pass_on(*process);
      } else if (watched[i].fd == process->answers()) {
        take_lines(owners[i], news);
      }
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
    take_end(worker, *line, news);
  }
}

void LocalWorkers::take_end(std::size_t worker, const Json& line, std::vector<WorkerNews>& news) {
  Slot& slot = slots_[worker];
  const auto stage = line.value("stage", std::size_t{0});
  slot.running.erase(stage);
  slot.warm = line.at("warm").get<std::set<std::string>>();
  slot.broken = slot.broken || line.value("broken", false);
  slot.asked_to_stop = slot.asked_to_stop || line.at("status") == "stopped";  // by whoever ends this machine's processes
  news.push_back({worker, end_of_stage(line), stage});
  // One that answered while it was being stopped, whose state nobody knows, or that would stop again.
  if (!slot.busy() && (slot.late || slot.broken || slot.asked_to_stop)) slot.end_process();
}

void LocalWorkers::take_death(std::size_t worker, std::vector<WorkerNews>& news) {
  Slot& slot = slots_[worker];
  const std::string how = slot.process->death();
  const bool killed = slot.process->was_killed();
  slot.output.pass_on(*slot.process);
  slot.end_process();
  remove_abandoned(setup_.store);
  for (const std::size_t stage : std::exchange(slot.running, {})) {
    const StageEnd end = slot.late ? StageEnd(StageTimedOut{slot.limit}) : StageEnd(WorkerDied{how, killed});
    news.push_back({worker, end, stage});
  }
}

void LocalWorkers::stop_late() {
  for (auto& slot : slots_) {
    if (!slot.busy() || slot.late || Clock::now() < slot.deadline) continue;
    slot.late = true;
    slot.process->kill();
  }
}

void LocalWorkers::ask_to_stop(std::size_t worker) {
  Slot& slot = slots_[worker];
  if (!slot.busy()) return;
  slot.asked_to_stop = true;
  slot.process->ask_to_stop();
}

void LocalWorkers::ask_to_stop() {
  for (std::size_t worker = 0; worker < slots_.size(); ++worker) ask_to_stop(worker);
}

void LocalWorkers::stop() {
  for (auto& slot : slots_) {
    slot.end_process();
    slot.running.clear();
  }
  remove_abandoned(setup_.store);
}

}  // namespace holdfast
