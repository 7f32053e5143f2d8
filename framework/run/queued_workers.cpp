#include "run/queued_workers.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "base/process_name.h"
#include "run/posted_work.h"
#include "run/progress.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostLosses = 10;  // a posting whose workers are lost so often is the cause of it
constexpr std::chrono::milliseconds kShortestQueuePause(10), kLongestQueuePause(500);
constexpr std::chrono::seconds kBetweenSigns(2);
constexpr double kRunLostAfter = 30;  // seconds

}  // namespace

// One posting, and the stages of a place that it brings.
struct QueuedWorkers::Waiting {
  std::string id;
  std::vector<std::size_t> stages;
  bool begun = false;
  std::optional<Clock::time_point> missing = {};  // since when it is nowhere
};

struct QueuedWorkers::Place {
  std::vector<StageRequest> stages;
  std::vector<Waiting> waiting;
};

QueuedWorkers::QueuedWorkers(std::unique_ptr<Queue> queue, Store& store, Settings settings)
    : queue_(std::move(queue)),
      store_(store),
      settings_(std::move(settings)),
      places_(settings_.places),
      pause_(kShortestQueuePause) {
  take_the_place_of_former_runs();
  look();
}

// What they posted this one posts itself, in an order of its own; what is taken goes on.
void QueuedWorkers::take_the_place_of_former_runs() {
  const auto runs = queue_->signs(Party::kRun);
  if (!std::all_of(runs.begin(), runs.end(), [](const Sign& run) { return run.lost; })) return;
  const QueueView left = queue_->view();
  for (const auto& [id, takes] : left.ready) queue_->withdraw(id);
  for (const auto& id : left.ended) queue_->forget(id);  // what was stored is found in the store
  for (const auto& run : runs) queue_->sign_off(Party::kRun, run.name);
}

QueuedWorkers::~QueuedWorkers() = default;

std::size_t QueuedWorkers::count() const { return places_.size(); }

bool QueuedWorkers::is_free(std::size_t worker) const { return places_[worker].waiting.empty(); }

const std::set<std::string>& QueuedWorkers::warm(std::size_t) const {
  static const std::set<std::string> unknown;  // each worker takes what suits it
  return unknown;
}

std::size_t QueuedWorkers::hands() const { return std::max(workers_, settings_.expected); }

std::size_t QueuedWorkers::idle() const {
  const std::size_t taken = busy_ + view_.ready.size() + posted_;
  return hands() > taken ? hands() - taken : 1;
}

bool QueuedWorkers::give(std::size_t worker, const std::vector<StageRequest>& requests) {
  Place& place = places_[worker];
  place.stages = requests;
  std::vector<std::size_t> own;
  std::map<std::string, std::vector<std::size_t>> others;  // by the posting under which they are under way
  for (std::size_t stage = 0; stage < requests.size(); ++stage) {
    const auto found = under_way_.find(requests[stage].key);
    if (found == under_way_.end()) {
      own.push_back(stage);
    } else {
      others[found->second].push_back(stage);
    }
  }
  for (auto& [id, stages] : others) place.waiting.push_back({id, std::move(stages)});
  if (!own.empty()) place.waiting.push_back(post(place, std::move(own)));
  pause_ = kShortestQueuePause;
  return false;
}

QueuedWorkers::Waiting QueuedWorkers::post(const Place& place, std::vector<std::size_t> stages) {
  std::vector<StageRequest> requests;
  for (const std::size_t stage : stages) requests.push_back(place.stages[stage]);
  Posting posting = posting_of(requests, settings_.limits);
  posting.lost_after = settings_.lost_after;
  if (std::binary_search(view_.ended.begin(), view_.ended.end(), posting.id)) queue_->forget(posting.id);
  if (!view_.ready.contains(posting.id)) queue_->post(posting);
  ++posted_;
  return {posting.id, std::move(stages)};
}

std::vector<WorkerNews> QueuedWorkers::wait() {
  std::this_thread::sleep_for(pause_);
  if (Clock::now() - signed_ > kBetweenSigns) {
    queue_->sign(Party::kRun, process_name(), {++beats_, kRunLostAfter, settings_.about});
    signed_ = Clock::now();
  }
  look();
  std::vector<WorkerNews> news;
  for (std::size_t number = 0; number < places_.size(); ++number) follow(number, news);
  const bool quiet = std::all_of(news.begin(), news.end(),
                                 [](const WorkerNews& each) { return std::holds_alternative<StageProgress>(each.what); });
  pause_ = quiet ? std::min(kLongestQueuePause, pause_ + pause_ / 4 + std::chrono::milliseconds(1)) : kShortestQueuePause;
  return news;
}

void QueuedWorkers::look() {
  view_ = queue_->view();
  posted_ = 0;
  note_leases();
  if (Clock::now() - counted_ > kBetweenSigns) count_workers();
}

void QueuedWorkers::note_leases() {
  under_way_.clear();
  std::map<std::string, std::vector<std::string>> known;
  for (const auto& [id, lease] : view_.leased) {
    auto keys = leased_keys_.find(lease.name);
    if (keys == leased_keys_.end()) {
      const auto work = queue_->work_of(lease);
      if (!work) continue;
      keys = leased_keys_.emplace(lease.name, posted_keys(*work)).first;
    }
    for (const auto& key : keys->second) under_way_[key] = id;
    known.insert(*keys);
  }
  leased_keys_ = std::move(known);
}

void QueuedWorkers::count_workers() {
  counted_ = Clock::now();
  workers_ = busy_ = 0;
  for (const auto& worker : queue_->signs(Party::kWorker)) {
    if (worker.lost) {
      queue_->sign_off(Party::kWorker, worker.name);
      continue;
    }
    ++workers_;
    busy_ += worker.about.is_object() && worker.about.contains("busy") && worker.about.at("busy") == true ? 1 : 0;
  }
  if (settings_.on_count) settings_.on_count(workers_, view_.ready.size());
}

void QueuedWorkers::follow(std::size_t number, std::vector<WorkerNews>& news) {
  for (auto& waiting : std::exchange(places_[number].waiting, {})) {
    if (const auto ends = ends_of(number, waiting, news)) {
      end(number, waiting, *ends, news);
    } else {
      places_[number].waiting.push_back(std::move(waiting));
    }
  }
}

// What came of it, by the stages' keys; nothing while it goes on.
std::optional<std::map<std::string, StageEnd>> QueuedWorkers::ends_of(std::size_t number, Waiting& waiting,
                                                                      std::vector<WorkerNews>& news) {
  const auto lease = view_.leased.find(waiting.id);
  const auto ready = view_.ready.find(waiting.id);
  if (lease != view_.leased.end() || ready != view_.ready.end()) waiting.missing.reset();
  if (lease != view_.leased.end()) {
    if (!std::exchange(waiting.begun, true)) news.push_back({number, StageBegan()});
    const Json& progress = lease->second.progress;
    if (is_progress(progress) && !progress.empty()) news.push_back({number, StageProgress{progress}});
    return std::nullopt;
  }
  if (ready != view_.ready.end()) {
    if (ready->second.lost <= kMostLosses || !queue_->withdraw(waiting.id)) return std::nullopt;
    const std::string times = std::to_string(ready->second.lost);
    return all_end(places_[number], waiting, WorkerDied{"was lost " + times + " times, another one each time,"});
  }
  if (std::binary_search(view_.ended.begin(), view_.ended.end(), waiting.id)) {
    if (const auto said = queue_->ends_of(waiting.id)) {
      const auto ends = ends_in(*said, places_[number], waiting);
      if (are_seen(places_[number], ends) || is_missed(waiting)) return ends;
      return std::nullopt;
    }
  }
  return is_missed(waiting) ? std::optional(stored(places_[number], waiting)) : std::nullopt;
}

// Whether it was looked for in vain for so long that it is believed to be nowhere.
bool QueuedWorkers::is_missed(Waiting& waiting) const {
  if (!waiting.missing) waiting.missing = Clock::now();
  return std::chrono::duration<double>(Clock::now() - *waiting.missing).count() >= settings_.missing_for;
}

// A file server may show what was stored after the word that it was.
bool QueuedWorkers::are_seen(const Place& place, const std::map<std::string, StageEnd>& ends) const {
  return std::all_of(place.stages.begin(), place.stages.end(), [&](const StageRequest& stage) {
    const auto end = ends.find(stage.key);
    return end == ends.end() || !std::holds_alternative<StageDone>(end->second) || store_.shows(stage.kind, stage.key);
  });
}

// A worker may be of another version, and whoever is let in over HTTP may say anything.
std::map<std::string, StageEnd> QueuedWorkers::ends_in(const Json& said, const Place& place, const Waiting& waiting) {
  try {
    return stage_ends_from_json(said);
  } catch (const std::exception& error) {
    const std::string what = std::string("its worker did not say how it ended, but something else: ") + error.what();
    return all_end(place, waiting, StageFailed{what});
  }
}

std::map<std::string, StageEnd> QueuedWorkers::all_end(const Place& place, const Waiting& waiting, const StageEnd& end) {
  std::map<std::string, StageEnd> ends;
  for (const std::size_t stage : waiting.stages) ends.emplace(place.stages[stage].key, end);
  return ends;
}

// Whoever knows how it ended has forgotten it: what is stored is done.
std::map<std::string, StageEnd> QueuedWorkers::stored(const Place& place, const Waiting& waiting) {
  std::map<std::string, StageEnd> ends;
  for (const std::size_t stage : waiting.stages) {
    const StageRequest& request = place.stages[stage];
    const auto found = store_.find(request.kind, request.key);
    if (!found || found->dropped) continue;
    ends.emplace(request.key, StageDone{found->digest, found->cost.value("seconds", 0.0), found->bytes()});
  }
  return ends;
}

// What it brought; what it should have brought and did not is posted again, each for itself.
void QueuedWorkers::end(std::size_t number, const Waiting& waiting, const std::map<std::string, StageEnd>& ends,
                        std::vector<WorkerNews>& news) {
  if (std::binary_search(view_.ended.begin(), view_.ended.end(), waiting.id)) {
    queue_->forget(waiting.id);
    view_.ended.erase(std::lower_bound(view_.ended.begin(), view_.ended.end(), waiting.id));
  }
  for (const std::size_t stage : waiting.stages) {
    const auto found = ends.find(places_[number].stages[stage].key);
    if (found == ends.end()) {
      places_[number].waiting.push_back(post(places_[number], {stage}));
    } else {
      news.push_back({number, found->second, stage});
    }
  }
}

// Runs that are over are signed off; one that was interrupted falls silent, and its workers wait for another.
void QueuedWorkers::stop() {
  const bool over = std::all_of(places_.begin(), places_.end(), [](const Place& place) { return place.waiting.empty(); });
  if (over) queue_->sign_off(Party::kRun, process_name());
}

}  // namespace holdfast
