#include "run/pull.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "base/engine_program.h"
#include "base/process_name.h"
#include "base/seconds_since.h"
#include "run/interruption.h"
#include "run/local_workers.h"
#include "run/posted_work.h"
#include "store/store.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kShortestPullPause(10), kLongestPullPause(1000);
constexpr std::chrono::seconds kFreshFor(1);  // of a list of what is ready
constexpr std::int64_t kTriesWhenKilled = 5;  // of a stage whose process was killed from outside
constexpr double kBetweenBeats = 2;           // seconds, or a sixth of those after which a worker counts as lost
constexpr double kRunShowsWithin = 20;        // seconds
constexpr char kTakenOver[] = "another worker took over what this one was at: its beat was late";

std::int64_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

std::string host_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return host;
}

class Puller {
 public:
  Puller(Queue& queue, const PullOptions& options)
      : queue_(queue), options_(options), store_(options.store, options.patience), idle_since_(Clock::now()) {}

  PullEnd run() {
    for (;;) {
      if (must_stop()) return had_run_ || any_run() ? PullEnd::kStopped : PullEnd::kNothingLeft;
      sign(false);
      if (const auto lease = take()) {
        had_run_ = true;
        sign_now(true);
        work(*lease);
        sign_now(false);
        idle_since_ = Clock::now();
        pause_ = kShortestPullPause;
      } else if (nothing_left()) {
        return PullEnd::kNothingLeft;
      } else {
        std::this_thread::sleep_for(pause_);
        pause_ = std::min(kLongestPullPause, pause_ + pause_ / 4 + std::chrono::milliseconds(1));
      }
    }
  }

  void sign_off() { queue_.sign_off(Party::kWorker, process_name()); }

 private:
  bool must_stop() const {
    return Interruption::requested() || (options_.seconds && seconds_since(begun_) > *options_.seconds - options_.grace);
  }

  double between_beats() const { return std::min(kBetweenBeats, options_.lost_after / 6); }

  void sign(bool busy) {
    if (seconds_since(signed_) > between_beats()) sign_now(busy);
  }

  void sign_now(bool busy) {
    const Json about = {{"busy", busy}, {"host", host_name()}, {"process", ::getpid()}, {"devices", options_.devices}};
    queue_.sign(Party::kWorker, process_name(), {++beats_, options_.lost_after, about});
    signed_ = Clock::now();
  }

  bool any_run() { return !queue_.signs(Party::kRun).empty(); }

  // A run that is over has signed off; one that was interrupted may come back.
  bool nothing_left() {
    if (seconds_since(idle_since_) > options_.idle) return true;
    if (seconds_since(looked_for_runs_) < between_beats()) return false;
    looked_for_runs_ = Clock::now();
    const bool runs = any_run();
    const bool over = !runs && (had_run_ || (options_.launched && seconds_since(begun_) > kRunShowsWithin));
    had_run_ = had_run_ || runs;
    return over;
  }

  Offer offer() const {
    Offer made;
    if (local_) made.warm = local_->warm(0);
    made.devices = options_.devices;
    if (options_.seconds) {
      made.whole = *options_.seconds - options_.grace;
      made.seconds = *made.whole - seconds_since(begun_);
    }
    made.gib = options_.gib;
    return made;
  }

  // The list is read once a second, not once for each of thousands.
  std::optional<Lease> take() {
    if (next_ == order_.size() || Clock::now() - listed_ > kFreshFor) {
      ready_ = queue_.ready();
      order_ = in_order(ready_, offer());
      next_ = 0;
      listed_ = Clock::now();
    }
    while (next_ < order_.size()) {
      if (auto lease = queue_.take(ready_[order_[next_++]], process_name(), options_.lost_after)) return lease;
    }
    return std::nullopt;
  }

  void work(const Lease& lease) {
    PostedWork posted = posted_work(lease);
    std::map<std::string, StageEnd> ends;
    std::vector<StageRequest> open;
    for (auto& stage : posted.stages) {
      const auto stored = store_.find(stage.kind, stage.key);
      if (stored && !stored->dropped) {  // by a worker that was lost before it could say so, or for another run
        ends.emplace(stage.key, done(*stored));
      } else if (const auto fault = bring(stage)) {
        ends.emplace(stage.key, StageFailed{*fault});
      } else {
        open.push_back(stage);
      }
    }
    if (!open.empty() && !run(lease, posted.limits, open, ends)) return;
    for (const auto& stage : posted.stages) {
      if (!publish(lease, stage, ends)) return log_warning(kTakenOver);
    }
    if (ends.size() == posted.stages.size()) {
      if (!queue_.finish(lease, to_json(ends))) log_warning(kTakenOver);
    } else {
      queue_.give_back(lease);
    }
  }

  static StageDone done(const Manifest& stored) { return {stored.digest, stored.cost.value("seconds", 0.0), stored.bytes()}; }

  // Why what the stage reads cannot be had here.
  std::optional<std::string> bring(StageRequest& stage) {
    if (options_.exchange == nullptr) return std::nullopt;
    try {
      options_.exchange->bring(stage);
      return std::nullopt;
    } catch (const Error& error) {
      return error.what();
    }
  }

  // False where the lease is lost.
  bool publish(const Lease& lease, const StageRequest& stage, std::map<std::string, StageEnd>& ends) {
    const auto end = ends.find(stage.key);
    if (options_.exchange == nullptr || end == ends.end() || !std::holds_alternative<StageDone>(end->second)) return true;
    try {
      const auto published = options_.exchange->publish(lease, store_.read(stage.kind, stage.key));
      if (published) end->second = done(*published);
      return published.has_value();
    } catch (const Error& error) {
      end->second = StageFailed{error.what()};
      return true;
    }
  }

  // Else the stage runs again: it was stopped, or its process was killed, which need not be its own doing the first times, or
  // it failed while this worker is ended, as where a batch system signals each process of a job.
  static bool counts(const StageEnd& end, const Lease& lease) {
    if (std::holds_alternative<StageDone>(end)) return true;
    if (std::holds_alternative<StageStopped>(end) || Interruption::requested()) return false;
    const auto* died = std::get_if<WorkerDied>(&end);
    return died == nullptr || !died->killed || lease.token > kTriesWhenKilled;
  }

  // False where the lease is lost.
  bool run(const Lease& lease, const StageLimits& limits, const std::vector<StageRequest>& stages,
           std::map<std::string, StageEnd>& ends) {
    start_process(limits);
    local_->give(0, stages);
    Beat beat{1, options_.lost_after};
    Clock::time_point beaten = Clock::now();
    std::optional<Clock::time_point> asked;
    while (!local_->is_free(0)) {
      for (const auto& news : local_->wait()) {
        if (const auto* progress = std::get_if<StageProgress>(&news.what)) beat.about = progress->progress;
        const auto* end = std::get_if<StageEnd>(&news.what);
        if (end != nullptr && counts(*end, lease)) ends.emplace(stages[news.stage].key, *end);
      }
      if (seconds_since(beaten) > between_beats()) {
        if (!show(lease, beat, beaten)) {
          local_.reset();
          return false;
        }
        sign(true);
      }
      if (!must_stop()) continue;
      if (!asked) {
        asked = Clock::now();
        local_->ask_to_stop();
      } else if (seconds_since(*asked) > options_.grace / 2) {
        local_.reset();
        break;
      }
    }
    return true;
  }

  // False where the lease is lost, or others must believe so.
  bool show(const Lease& lease, Beat& beat, Clock::time_point& beaten) {
    ++beat.number;
    try {
      if (queue_.beat(lease, beat)) {
        beaten = Clock::now();
        return true;
      }
      log_warning(kTakenOver);
    } catch (const Error& error) {
      if (seconds_since(beaten) < options_.lost_after) return true;
      log_warning(std::string("this worker gives up what it was at, for it cannot show that it is there: ") + error.what());
    }
    return false;
  }

  void start_process(const StageLimits& limits) {
    if (local_ && limits == limits_) return;
    limits_ = limits;
    WorkerSetup setup{.program = options_.program.empty() ? engine_program() : options_.program,
                      .store = store_.root(),
                      .threads = options_.threads > 0 ? options_.threads
                                 : limits.threads > 0 ? limits.threads
                                                      : usable_processors(),
                      .limits = {limits.memory_limit_gib, limits.file_limit_gib, limits.network},
                      .own_output = false,
                      .number = options_.device_number,
                      .workers = 2,  // others may run on this machine: weights are mapped
                      .devices = limits.devices,
                      .patience = options_.patience};
    local_ = std::make_unique<LocalWorkers>(std::move(setup), 1, limits.stage_timeout);
  }

  Queue& queue_;
  const PullOptions& options_;
  Store store_;
  const Interruption interruption_;
  StageLimits limits_;
  std::unique_ptr<LocalWorkers> local_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point idle_since_, signed_{}, listed_{}, looked_for_runs_{};
  std::vector<NamedPosting> ready_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  std::chrono::milliseconds pause_ = kShortestPullPause;
  std::int64_t beats_ = 0;
  bool had_run_ = false;
};

}  // namespace

PullEnd pull(Queue& queue, const PullOptions& options) {
  Puller puller(queue, options);
  const PullEnd end = puller.run();
  puller.sign_off();
  return end;
}

}  // namespace holdfast
