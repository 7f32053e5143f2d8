#include "service/tuning_loop.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "run/stage_failure.h"
#include "run/stage_requests.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kGrace(10);  // for keeping a training where it stands

}  // namespace

TuningLoop::TuningLoop(Store& store, Workers& workers, TuningListener& listener)
    : index_(store), budget_(index_, 0), workers_(workers), listener_(listener), at_(workers.count()) {}

void TuningLoop::add_base(const std::string& what, std::shared_ptr<const Pipeline> pipeline) {
  begin(std::make_unique<TuningJob>(what, std::move(pipeline), index_, budget_, nullptr));
}

void TuningLoop::add(const std::string& name, std::shared_ptr<const Pipeline> pipeline) {
  begin(std::make_unique<TuningJob>(name, std::move(pipeline), index_, budget_, &listener_));
}

void TuningLoop::begin(std::unique_ptr<TuningJob> job) {
  TuningJob& begun = *jobs_.emplace_back(std::move(job));
  advance(begun, [&] { begun.begin(); });
}

void TuningLoop::stop(const std::string& name) {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& job) { return job->is_order() && job->name() == name; });
  if (found != jobs_.end()) remove(**found, TuningStopped{});
}

// What cannot be done for a job is that job's failure.
template <typename Step>
void TuningLoop::advance(TuningJob& job, const Step& step) {
  std::optional<TuningEnd> end;
  try {
    step();
    end = job.advance();
  } catch (const std::exception& error) {
    end = TuningFailed{error.what()};
  }
  if (end) remove(job, *end);
}

void TuningLoop::remove(TuningJob& job, const TuningEnd& end) {
  leave_flights(job);
  job.tell(end);
  std::erase_if(jobs_, [&](const auto& each) { return each.get() == &job; });
}

// Those that nobody waits for any more are stopped.
void TuningLoop::leave_flights(const TuningJob& job) {
  for (auto& [key, flight] : flights_) {
    const std::size_t left = std::erase_if(flight.nodes, [&](const auto& waiting) { return waiting.first == &job; });
    if (left == 0 || !flight.nodes.empty() || flight.stopping) continue;
    flight.stopping = true;
    workers_.ask_to_stop(flight.worker);
  }
}

std::optional<std::size_t> TuningLoop::free_worker() const {
  for (std::size_t worker = 0; worker < at_.size(); ++worker) {
    if (at_[worker].empty() && workers_.is_free(worker)) return worker;
  }
  return std::nullopt;
}

void TuningLoop::give_stages() {
  for (auto next = jobs_.begin(); next != jobs_.end();) {
    TuningJob& job = **next++;  // it may fail now
    join_flights(job);
    give(job);
  }
}

void TuningLoop::join_flights(TuningJob& job) {
  for (std::size_t node = 0; node < job.plan().nodes.size(); ++node) {
    const NodeOutcome& outcome = job.graph().outcomes()[node];
    if (outcome.state != NodeState::kReady) continue;
    const auto flight = flights_.find(outcome.key);
    if (flight == flights_.end()) continue;
    job.schedule().remove(node);
    job.runs(node);
    flight->second.nodes.emplace_back(&job, node);
  }
}

// As many of its stages as there are free workers for.
void TuningLoop::give(TuningJob& job) {
  while (const auto worker = free_worker()) {
    const auto node = job.schedule().take(workers_.warm(*worker));
    if (!node) return;
    job.runs(*node);
    const StageRequest request = stage_request(job.plan(), job.graph().outcomes(), *node);
    at_[*worker] = request.key;
    flights_[request.key] = {request.kind, *worker, ++clock_, {{&job, *node}}};
    try {
      workers_.give(*worker, {request});
    } catch (const Error& error) {  // no process can be started
      return take({*worker, StageEnd(StageFailed{error.what()})});
    }
  }
}

void TuningLoop::hear() {
  for (const auto& news : workers_.wait()) take(news);
}

void TuningLoop::take(const WorkerNews& news) {
  const auto flight = flights_.find(at_[news.worker]);
  HOLDFAST_CHECK(flight != flights_.end());
  if (const auto* progress = std::get_if<StageProgress>(&news.what)) {
    if (flight->second.kind != StageKind::kFinetune) return;
    for (const auto& [job, node] : flight->second.nodes) job->progressed(progress->progress);
    return;
  }
  const auto* end = std::get_if<StageEnd>(&news.what);
  if (end == nullptr) return;
  at_[news.worker].clear();
  auto landed = flights_.extract(flight);
  land(landed.key(), std::move(landed.mapped()), *end);
  if (flights_.empty()) made_.clear();
}

void TuningLoop::land(const std::string& key, Flight flight, const StageEnd& end) {
  const auto* done = std::get_if<StageDone>(&end);
  const auto* damaged = std::get_if<StageDamaged>(&end);
  if (done != nullptr) {
    index_.add(flight.kind, key, {done->digest, done->bytes, done->seconds, false});
    made_[key] = ++clock_;
  }
  if (damaged != nullptr) discard(flight, *damaged);
  // Whatever became of one that was asked to stop: who came to need it meanwhile has it run again.
  const bool again = flight.stopping || std::holds_alternative<StageStopped>(end);
  for (const auto& [job, node] : flight.nodes) {
    advance(*job, [&, job = job, node = node] {
      StageGraph& graph = job->graph();
      if (damaged != nullptr) return job->begin();
      if (!graph.is_running(node)) return;  // it has begun once more meanwhile
      if (done != nullptr) return graph.done(node, {done->digest, done->bytes, done->seconds, false});
      if (again) return graph.again(node);
      const auto failure = failure_of(job->plan().nodes[node], end);
      graph.fail(node, failure->status, failure->message);
    });
  }
}

// Several stages may report the same damage: what was made anew since they began is whole.
void TuningLoop::discard(const Flight& flight, const StageDamaged& damaged) {
  const auto made = made_.find(damaged.key);
  if (made != made_.end() && made->second > flight.began) return;
  log_warning("a stored artifact is damaged and will be computed again: " + damaged.message);
  index_.discard(damaged.kind, damaged.key);
}

void TuningLoop::end() {
  for (auto& [key, flight] : flights_) workers_.ask_to_stop(flight.worker);
  const auto deadline = std::chrono::steady_clock::now() + kGrace;
  while (!flights_.empty() && std::chrono::steady_clock::now() < deadline) {
    for (const auto& news : workers_.wait()) {
      if (std::holds_alternative<StageEnd>(news.what)) flights_.erase(at_[news.worker]);
    }
  }
  workers_.stop();
}

}  // namespace holdfast
