#include "service/tuning_job.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <utility>

#include "plan/estimate.h"
#include "plan/stage_key.h"
#include "service/screening.h"
#include "work/stage_data.h"

namespace holdfast {
namespace {

constexpr int kMostTimesBegun = 4;  // damage that comes back is no accident

// What stages of its kinds take; a job's stages mostly wait for each other.
std::vector<double> seconds_of(const Plan& plan) {
  std::vector<double> seconds;
  for (const auto& node : plan.nodes) seconds.push_back(about(node.kind).seconds);
  return seconds;
}

// A model is served from files, so what another run's disk budget dropped is made anew.
void forget_dropped(const Plan& plan, StoreIndex& index) {
  std::vector<std::string> digests(plan.nodes.size());  // empty: unknown
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    const PlanNode& node = plan.nodes[id];
    std::vector<std::string> inputs;
    for (const auto& input : node.inputs) inputs.push_back(digests[input.node]);
    if (std::count(inputs.begin(), inputs.end(), "") > 0) continue;
    const std::string key = stage_key(node, inputs).key;
    const StoredArtifact* stored = index.read_again(node.kind, key);
    if (stored == nullptr) continue;
    if (stored->dropped) {
      index.discard(node.kind, key);
    } else {
      digests[id] = stored->digest;
    }
  }
}

}  // namespace

TuningJob::TuningJob(std::string name, std::shared_ptr<const Pipeline> pipeline, StoreIndex& index, DiskBudget& budget,
                     TuningListener* listener)
    : name_(std::move(name)), pipeline_(std::move(pipeline)), index_(index), budget_(budget), listener_(listener) {}

void TuningJob::begin() {
  if (++begun_ > kMostTimesBegun) throw Error("artifacts in the store are damaged again and again: check its disk");
  settled_.clear();
  graph_.reset();
  forget_dropped(plan(), index_);
  const std::vector<double> seconds = seconds_of(plan());
  schedule_ = std::make_unique<Schedule>(plan(), critical_paths(plan(), seconds));
  graph_ = std::make_unique<StageGraph>(plan(), index_, budget_, *schedule_, seconds);
  graph_->start([this](std::size_t node) { settled_.push_back(node); });
}

void TuningJob::tell_began(StageKind kind) {
  if (told_.insert(kind).second && listener_ != nullptr) listener_->began(name_, kind);
}

void TuningJob::runs(std::size_t node) {
  graph_->run(node);
  tell_began(plan().nodes[node].kind);
}

void TuningJob::progressed(const Json& progress) {
  if (listener_ != nullptr) listener_->progressed(name_, progress);
}

void TuningJob::tell(const TuningEnd& end) {
  if (listener_ != nullptr) return listener_->ended(name_, end);
  if (const auto* failed = std::get_if<TuningFailed>(&end)) log_warning(name_ + " cannot be had: " + failed->message);
  if (std::holds_alternative<TuningSucceeded>(end)) log_info(name_ + " is ready");
}

Dataset TuningJob::rows(std::size_t node) {
  return read_stage_data(index_.store().file(plan().nodes[node].kind, graph_->outcomes()[node].key, kDataFile));
}

void TuningJob::compare() {
  const Dataset kept = rows(*pipeline_->screened);
  const ScreenedRows screened = compare_rows(rows(*pipeline_->submitted), kept);
  rows_ = static_cast<std::int64_t>(kept.size());
  if (listener_ != nullptr) listener_->screened(name_, screened);
}

std::optional<TuningEnd> TuningJob::settled(std::size_t node) {
  const NodeOutcome& outcome = graph_->outcomes()[node];
  if (outcome.state == NodeState::kFailed) return TuningFailed{outcome.message};
  if (outcome.state != NodeState::kDone) return std::nullopt;  // it is made anew
  tell_began(plan().nodes[node].kind);
  if (node != pipeline_->screened || rows_) return std::nullopt;
  compare();
  if (*rows_ > 0) return std::nullopt;
  return TuningFailed{"no row was left to train on after screening", true};
}

TuningEnd TuningJob::succeeded() {
  TuningSucceeded made;
  const auto& outcomes = graph_->outcomes();
  if (pipeline_->weights) made.model_digest = outcomes[*pipeline_->weights].digest;
  if (!pipeline_->tuned) return made;
  const std::string& key = outcomes[*pipeline_->tuned].key;
  Store& store = index_.store();
  const Manifest manifest = store.read(StageKind::kFinetune, key);
  made.trained_tokens = manifest.cost.value("tokens", std::int64_t{0});
  const auto left_out = manifest.reports.value("rows.left-out", Json::object()).value("value", 0.0);
  made.rows_trained = *rows_ - static_cast<std::int64_t>(left_out);
  const auto has_curve = [](const StoredFile& file) { return file.name == kCurveFile; };
  if (std::any_of(manifest.files.begin(), manifest.files.end(), has_curve)) {
    made.curve = read_curve(store.file(StageKind::kFinetune, key, kCurveFile));
  }
  return made;
}

std::optional<TuningEnd> TuningJob::advance() {
  while (true) {
    try {
      for (const std::size_t node : std::exchange(settled_, {})) {
        if (auto end = settled(node)) return end;
      }
      if (graph_->unsettled() > 0) return std::nullopt;
      return succeeded();
    } catch (const CorruptArtifact& corrupt) {
      log_warning("a stored artifact is damaged and will be computed again: " + std::string(corrupt.what()));
      index_.discard(corrupt.kind, corrupt.key);
      begin();
    }
  }
}

}  // namespace holdfast
