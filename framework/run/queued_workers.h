// Workers that take a run's stages from a queue, wherever they are. The run may end and another one take its place while they
// go on.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "run/stage_limits.h"
#include "run/workers.h"
#include "store/store.h"

namespace holdfast {

/// Each worker of the interface is a place in the queue. What another run, or this one before it was started again, has under
/// way is waited for and not posted twice.
class QueuedWorkers final : public Workers {
 public:
  struct Settings {
    StageLimits limits;
    double lost_after = 60;       // seconds (Posting)
    Json about = Json::object();  // what watchers are told of the run
    double missing_for = 2;       // seconds before what is seen nowhere is believed to be nowhere
    std::size_t expected = 1;     // workers, while they are not there yet
    // Told now and then how many there are, and how much waits to be taken.
    std::function<void(std::size_t, std::size_t)> on_count = {};
    std::size_t places = 256;  // the most that is posted at a time
  };
  QueuedWorkers(std::unique_ptr<Queue> queue, Store& store, Settings settings);
  ~QueuedWorkers() override;

  std::size_t count() const override;
  bool is_free(std::size_t worker) const override;
  const std::set<std::string>& warm(std::size_t worker) const override;
  bool give(std::size_t worker, const std::vector<StageRequest>& requests) override;
  std::vector<WorkerNews> wait() override;
  /// What is posted stays posted, and workers go on with it.
  void stop() override;
  std::size_t idle() const override;
  std::size_t hands() const override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Place;
  struct Waiting;

  void take_the_place_of_former_runs();
  void look();
  void note_leases();
  void count_workers();
  Waiting post(const Place& place, std::vector<std::size_t> stages);
  void follow(std::size_t number, std::vector<WorkerNews>& news);
  std::optional<std::map<std::string, StageEnd>> ends_of(std::size_t number, Waiting& waiting, std::vector<WorkerNews>& news);
  static std::map<std::string, StageEnd> ends_in(const Json& said, const Place& place, const Waiting& waiting);
  bool is_missed(Waiting& waiting) const;
  bool are_seen(const Place& place, const std::map<std::string, StageEnd>& ends) const;
  static std::map<std::string, StageEnd> all_end(const Place& place, const Waiting& waiting, const StageEnd& end);
  void end(std::size_t number, const Waiting& waiting, const std::map<std::string, StageEnd>& ends,
           std::vector<WorkerNews>& news);
  std::map<std::string, StageEnd> stored(const Place& place, const Waiting& waiting);

  std::unique_ptr<Queue> queue_;
  Store& store_;
  Settings settings_;
  std::vector<Place> places_;
  QueueView view_;
  std::map<std::string, std::vector<std::string>> leased_keys_;  // by the lease's name
  std::map<std::string, std::string> under_way_;                 // key -> id of the posting that somebody works on
  std::size_t workers_ = 0, busy_ = 0;
  std::size_t posted_ = 0;  // since the last look
  std::int64_t beats_ = 0;
  Clock::time_point signed_{}, counted_{};
  std::chrono::milliseconds pause_;
};

}  // namespace holdfast
