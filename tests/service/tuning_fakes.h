// A service whose stages are made up: a model, a filter of bad rows, a repair and a guard.
#pragma once

#include <holdfast/plugin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/scratch_folder.h"
#include "data/formats.h"
#include "service/tuning.h"
#include "work/stage_data.h"

namespace holdfast {

inline const std::string kBad = "bad";  // the beginning of questions that the filter drops

inline DataSource rows_file(const fs::path& path, const std::vector<std::string>& questions) {
  std::string text;
  for (const auto& question : questions) {
    text += canonical(example_to_json({{{"user", question}, {"assistant", "yes"}}})) + "\n";
  }
  write_file(path, text);
  return resolve_data(path.string(), {});
}

/// On offer: "bare" without a defense, and "guarded" behind all three stages. A moderator "filter" as well.
inline Scenario service_scenario() {
  const auto plugin = [](const std::string& name, unsigned stages) { return PluginUse{name, 1, stages}; };
  Scenario service;
  service.folder = "/";
  service.name = "service";
  service.aligns = true;
  ModelSpec model;
  model.name = "m";
  model.source = "organism";
  model.alignment = DataSource{"builtin:organism/alignment", "of the rows"};
  service.models = {model};
  service.defenses = {{"none", {}},
                      {"all", {plugin("filter", kStageScreen), plugin("mend", kStageRepair), plugin("guard", kStageServe)}}};
  service.moderators = {{"filter", plugin("filter", kStageScreen)}};
  service.moderators.front().plugin.traits.need_aligned = kStageScreen;
  service.service = ServiceSpec();
  service.service->offers = {{"bare", "m", "none"}, {"guarded", "m", "all"}};
  return service;
}

/// Does stages: rows are copied and filtered, weights named after their key. Nothing is synced to the disk.
class FakeStages {
 public:
  explicit FakeStages(const fs::path& store) : store_(store) {}

  StageEnd operator()(const StageRequest& request) {
    Manifest manifest;
    manifest.kind = request.kind;
    manifest.key = request.key;
    manifest.document = request.document;
    const fs::path made = store_.root().string() + " makes " + request.key;
    fs::create_directories(made);
    if (request.kind == StageKind::kCollect || request.kind == StageKind::kScreen) {
      manifest.digest = write_rows(made, request);
    } else {
      write(made / "change", request.key);
      manifest.digest = "made by " + request.key;
    }
    if (request.kind == StageKind::kFinetune) {
      write_curve(made / kCurveFile, {{1, 2.5, 1e-4, 1, 30}, {2, 1.5, 1e-4, 1, 12}});
      manifest.cost["tokens"] = 42;
    }
    publish(made, manifest);
    return StageDone{manifest.digest, 1, 1};
  }

 private:
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  // Appears whole.
  void publish(const fs::path& made, Manifest manifest) {
    for (const auto& file : fs::directory_iterator(made)) {
      manifest.files.push_back({file.path().filename().string(), file.file_size(), sha256_file(file.path())});
    }
    write(made / "manifest.json", canonical(to_json(manifest)));
    const fs::path place = store_.folder(manifest.kind, manifest.key);
    fs::create_directories(place.parent_path());
    fs::rename(made, place);
  }

  std::string write_rows(const fs::path& made, const StageRequest& request) {
    Dataset rows;
    if (request.kind == StageKind::kCollect) {
      rows = load_data(data_source_from_json(request.task.at("rows")));
    } else {
      const ArtifactRef& data = request.inputs.at("data");
      rows = read_stage_data(store_.file(data.kind, data.key, kDataFile));
      std::erase_if(rows, [](const Example& row) { return row.messages.front().content.starts_with(kBad); });
    }
    std::string text;
    for (const auto& row : rows) text += canonical(example_to_json(row)) + "\n";
    write(made / kDataFile, text);
    return sha256(text);
  }

  Store store_;
};

/// Workers whose stages end when they are told to. One that is asked to stop does.
class HeldWorkers final : public Workers {
 public:
  HeldWorkers(std::size_t count, FakeStages stages) : stages_(std::move(stages)), slots_(count) {}

  std::size_t count() const override { return slots_.size(); }
  bool is_free(std::size_t worker) const override {
    const std::lock_guard lock(mutex_);
    return !slots_[worker];
  }
  const std::set<std::string>& warm(std::size_t) const override { return none_; }
  bool give(std::size_t worker, const std::vector<StageRequest>& requests) override {
    const std::lock_guard lock(mutex_);
    slots_[worker] = requests.front();
    given_.push_back(requests.front());
    if (!held_.contains(requests.front().kind)) end(worker, stages_(requests.front()));
    changed_.notify_all();
    return true;
  }
  std::vector<WorkerNews> wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(5), [this] { return !news_.empty(); });
    for (const auto& each : news_) {
      if (std::holds_alternative<StageEnd>(each.what)) slots_[each.worker].reset();
    }
    return std::exchange(news_, {});
  }
  void ask_to_stop(std::size_t worker) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(slots_[worker]->key);
    if (!deaf_) end(worker, StageStopped{});
  }
  void stop() override { stopped = true; }

  // For the test.
  void hold(StageKind kind) {
    const std::lock_guard lock(mutex_);
    held_.insert(kind);
  }
  void ignore_stops() {
    const std::lock_guard lock(mutex_);
    deaf_ = true;
  }
  /// Waits until so many stages of that kind were given since the beginning.
  void await(StageKind kind, std::ptrdiff_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_of(kind) >= number; });
  }
  /// Ends all that is held, as they end by themselves, and holds nothing more.
  void release() {
    const std::lock_guard lock(mutex_);
    held_.clear();
    for (std::size_t worker = 0; worker < slots_.size(); ++worker) {
      if (slots_[worker]) end(worker, stages_(*slots_[worker]));
    }
  }
  /// Ends all that is held in that way.
  void end_all(const StageEnd& how) {
    const std::lock_guard lock(mutex_);
    for (std::size_t worker = 0; worker < slots_.size(); ++worker) {
      if (slots_[worker]) end(worker, how);
    }
  }
  void tell(const Json& progress) {
    const std::lock_guard lock(mutex_);
    for (std::size_t worker = 0; worker < slots_.size(); ++worker) {
      if (slots_[worker]) news_.push_back({worker, StageProgress{progress}});
    }
  }
  std::ptrdiff_t given(StageKind kind) const {
    const std::lock_guard lock(mutex_);
    return count_of(kind);
  }
  std::size_t asked() const {
    const std::lock_guard lock(mutex_);
    return asked_.size();
  }
  std::atomic<bool> stopped = false;

 private:
  std::ptrdiff_t count_of(StageKind kind) const {
    return std::count_if(given_.begin(), given_.end(), [&](const StageRequest& request) { return request.kind == kind; });
  }
  void end(std::size_t worker, StageEnd how) {
    const auto known = [&](const WorkerNews& news) {
      return news.worker == worker && std::holds_alternative<StageEnd>(news.what);
    };
    if (std::any_of(news_.begin(), news_.end(), known)) return;
    news_.push_back({worker, std::move(how)});
    changed_.notify_all();
  }

  FakeStages stages_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<StageRequest>> slots_;
  std::vector<StageRequest> given_;
  std::vector<std::string> asked_;
  std::vector<WorkerNews> news_;
  std::set<StageKind> held_;
  bool deaf_ = false;
  std::set<std::string> none_;
};

/// Writes down what it is told.
class Diary final : public TuningListener {
 public:
  void began(const std::string& job, StageKind kind) override { note(job, to_string(kind)); }
  void screened(const std::string& job, const ScreenedRows& rows) override {
    std::string text = "screened " + std::to_string(rows.submitted) + " -";
    for (const auto number : rows.dropped) text += " " + std::to_string(number);
    note(job, text + " + " + std::to_string(rows.added));
  }
  void progressed(const std::string& job, const Json& progress) override { note(job, "progress " + progress.dump()); }
  void ended(const std::string& job, const TuningEnd& end) override {
    const std::lock_guard lock(mutex_);
    ends_.emplace(job, end);
    ++times_[job];
    changed_.notify_all();
  }

  TuningEnd end_of(const std::string& job) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_.contains(job); });
    return ends_.at(job);
  }
  std::vector<std::string> notes(const std::string& job) {
    const std::lock_guard lock(mutex_);
    return notes_[job];
  }
  void await_note(const std::string& job, const std::string& note) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::count(notes_[job].begin(), notes_[job].end(), note) > 0; });
  }
  /// Of whatever.
  void await_progress(const std::string& job) {
    std::unique_lock lock(mutex_);
    const auto is_progress = [](const std::string& note) { return note.starts_with("progress "); };
    changed_.wait(lock,
                  [&] { return ends_.contains(job) || std::any_of(notes_[job].begin(), notes_[job].end(), is_progress); });
  }
  std::size_t ended_jobs() {
    const std::lock_guard lock(mutex_);
    return ends_.size();
  }
  int times_ended(const std::string& job) {
    const std::lock_guard lock(mutex_);
    return times_[job];
  }

 private:
  void note(const std::string& job, const std::string& text) {
    const std::lock_guard lock(mutex_);
    notes_[job].push_back(text);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<std::string>> notes_;
  std::map<std::string, TuningEnd> ends_;
  std::map<std::string, int> times_;
};

}  // namespace holdfast
