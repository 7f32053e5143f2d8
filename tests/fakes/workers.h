// Workers that run nothing and answer at once.
#pragma once

#include <deque>
#include <functional>

#include "run/workers.h"

namespace holdfast {

class FakeWorkers final : public Workers {
 public:
  /// `end` says how a stage ends; without it each gives an artifact named after its key.
  explicit FakeWorkers(std::size_t count, std::function<StageEnd(const StageRequest&)> end = {})
      : end_(std::move(end)), slots_(count) {}

  std::function<void(const StageRequest&)> on_give;
  std::function<void(std::size_t worker, const std::vector<StageRequest>&)> on_gang;
  bool stopped = false;

  std::size_t count() const override { return slots_.size(); }
  bool is_free(std::size_t worker) const override { return slots_[worker].running == 0; }
  const std::set<std::string>& warm(std::size_t worker) const override { return slots_[worker].warm; }

  bool give(std::size_t worker, const std::vector<StageRequest>& requests) override {
    if (on_gang) on_gang(worker, requests);
    for (const auto& request : requests) {
      if (on_give) on_give(request);
      StageEnd end = end_ ? end_(request) : StageDone{"made by " + request.key, 1, 1};
      note_warm(slots_[worker].warm, request, end);
      told_.push_back({worker, std::move(end), slots_[worker].running++});
    }
    return true;
  }

  // In the order in which they were given.
  std::vector<WorkerNews> wait() override {
    std::vector<WorkerNews> news;
    if (told_.empty()) return news;
    news.push_back(std::move(told_.front()));
    told_.pop_front();
    --slots_[news.front().worker].running;
    return news;
  }

  void stop() override { stopped = true; }

 private:
  struct Slot {
    std::size_t running = 0;
    std::set<std::string> warm;
  };

  // A worker has what its last stage read and made.
  static void note_warm(std::set<std::string>& warm, const StageRequest& request, const StageEnd& end) {
    const Json inputs = request.document.value("inputs", Json::object());
    const bool reads = inputs.contains("weights") || inputs.contains("aligned");
    const bool makes = request.kind == StageKind::kPretrain || request.kind == StageKind::kAlign ||
                       request.kind == StageKind::kFinetune || request.kind == StageKind::kRepair;
    if (reads || makes) warm.clear();
    for (const char* role : {"weights", "aligned"}) {
      if (inputs.contains(role)) warm.insert(inputs.at(role).get<std::string>());
    }
    if (const auto* done = std::get_if<StageDone>(&end); makes && done != nullptr) warm.insert(done->digest);
    if (std::holds_alternative<WorkerDied>(end)) warm.clear();
  }

  std::function<StageEnd(const StageRequest&)> end_;
  std::vector<Slot> slots_;
  std::deque<WorkerNews> told_;
};

}  // namespace holdfast
