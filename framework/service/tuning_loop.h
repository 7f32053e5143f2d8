// Which stages of which jobs run where.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "run/workers.h"
#include "service/tuning_job.h"
#include "store/disk_budget.h"
#include "store/store_index.h"

namespace holdfast {

/// Gives stages of jobs to workers. A stage that several jobs need runs once, for all of them. Of one thread.
class TuningLoop {
 public:
  /// `store` is used by this thread alone.
  TuningLoop(Store& store, Workers& workers, TuningListener& listener);

  /// Weights on offer; `what` names them where they cannot be had. Those that came first go first.
  void add_base(const std::string& what, std::shared_ptr<const Pipeline> pipeline);
  void add(const std::string& name, std::shared_ptr<const Pipeline> pipeline);
  /// Ends that order as stopped. Does nothing where there is none.
  void stop(const std::string& name);

  /// Whether anything is under way.
  bool is_running() const { return !flights_.empty(); }
  void give_stages();
  /// Hears what became of them; takes a fraction of a second at most.
  void hear();
  /// Asks everything that is under way to keep what it has, and ends it after some seconds. Nobody is told.
  void end();

 private:
  // A stage under way.
  struct Flight {
    StageKind kind;
    std::size_t worker;
    std::uint64_t began;
    std::vector<std::pair<TuningJob*, std::size_t>> nodes = {};  // who waits for it
    bool stopping = false;
  };

  void begin(std::unique_ptr<TuningJob> job);
  void join_flights(TuningJob& job);
  std::optional<std::size_t> free_worker() const;
  void give(TuningJob& job);
  void take(const WorkerNews& news);
  void land(const std::string& key, Flight flight, const StageEnd& end);
  void discard(const Flight& flight, const StageDamaged& damaged);
  template <typename Step>
  void advance(TuningJob& job, const Step& step);
  void remove(TuningJob& job, const TuningEnd& end);
  void leave_flights(const TuningJob& job);

  StoreIndex index_;
  DiskBudget budget_;  // none: models that customers own are not dropped
  Workers& workers_;
  TuningListener& listener_;
  std::list<std::unique_ptr<TuningJob>> jobs_;  // in the order of their submission
  std::map<std::string, Flight> flights_;       // by key
  std::vector<std::string> at_;                 // by worker: the key that it is at; empty: none
  std::map<std::string, std::uint64_t> made_;   // by key: when it was made here last, while anything is under way
  std::uint64_t clock_ = 0;
};

}  // namespace holdfast
