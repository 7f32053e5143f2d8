#include "matrix/executor.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <poll.h>

#include <algorithm>
#include <deque>

#include "matrix/estimate.h"
#include "matrix/interruption.h"
#include "matrix/stage_key.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::size_t kWarmWeights = 3;  // as many as a worker keeps
constexpr double kWarmBonus = 1.5;       // a stage whose weights are warm may overtake one with a way this much longer
constexpr int kMostRecomputations = 2;
constexpr int kPollMilliseconds = 200;

bool settled(const NodeOutcome& outcome) { return outcome.state == NodeState::kDone || outcome.state == NodeState::kFailed; }

}  // namespace

// One worker's place. The process is started when there is work, and again after it died.
struct Executor::Slot {
  std::unique_ptr<WorkerProcess> worker;
  std::size_t node = kNone;
  Clock::time_point deadline;
  bool late = false;
  std::deque<std::string> warm;  // content digests of weights it used last
};

Executor::Executor(const Plan& plan, const Scenario& scenario, Store& store, std::vector<double> seconds,
                   ExecutorOptions options)
    : plan_(plan),
      scenario_(scenario),
      store_(store),
      seconds_(std::move(seconds)),
      paths_(critical_paths(plan, seconds_)),
      options_(std::move(options)),
      outcomes_(plan.nodes.size()) {}

Executor::~Executor() = default;

void Executor::start(std::function<void(std::size_t)> on_settled) {
  on_settled_ = std::move(on_settled);
  for (std::size_t id = 0; id < plan_.nodes.size(); ++id) settle(id);
}

std::size_t Executor::unsettled() const {
  return static_cast<std::size_t>(std::count_if(outcomes_.begin(), outcomes_.end(), [](const auto& o) { return !settled(o); }));
}

// A waiting node whose inputs are there gets its key, and is done when the store has it.
void Executor::settle(std::size_t node) {
  NodeOutcome& outcome = outcomes_[node];
  if (outcome.state != NodeState::kWaiting) return;
  if (!plan_.nodes[node].fault.empty()) return fail(node, "failed", stage_text(node) + ": " + plan_.nodes[node].fault);
  outcome.inputs.clear();
  for (const auto& input : plan_.nodes[node].inputs) {
    if (outcomes_[input.node].state != NodeState::kDone) return;
    outcome.inputs.push_back(outcomes_[input.node].digest);
  }
  outcome.key = stage_key(plan_.nodes[node], outcome.inputs).key;
  if (const auto running = in_flight_.find(outcome.key); running != in_flight_.end()) {
    outcome.state = NodeState::kSame;
    same_[running->second].push_back(node);
  } else if (const auto stored = store_.find(plan_.nodes[node].kind, outcome.key)) {
    finish(node, stored->digest);
  } else {
    outcome.state = NodeState::kReady;
    in_flight_[outcome.key] = node;
    ready_.insert(node);
  }
}

void Executor::finish(std::size_t node, const std::string& digest) {
  outcomes_[node].state = NodeState::kDone;
  outcomes_[node].digest = digest;
  on_settled_(node);
  in_flight_.erase(outcomes_[node].key);
  for (const std::size_t other : std::exchange(same_[node], {})) finish(other, digest);
  for (const std::size_t child : plan_.nodes[node].children) settle(child);
  for (const std::size_t other : std::exchange(blocked_[node], {})) settle(other);
}

void Executor::fail(std::size_t node, const std::string& status, const std::string& message) {
  if (settled(outcomes_[node])) return;
  outcomes_[node].state = NodeState::kFailed;
  outcomes_[node].status = status;
  outcomes_[node].message = message;
  on_settled_(node);
  in_flight_.erase(outcomes_[node].key);
  ready_.erase(node);
  for (const std::size_t other : std::exchange(same_[node], {})) fail(other, status, message);
  for (const std::size_t child : plan_.nodes[node].children) fail(child, status, message);
  for (const std::size_t other : std::exchange(blocked_[node], {})) fail(other, status, message);
}

// A worker found a damaged input: the stage that made it runs again, and this one waits for it.
void Executor::recompute(std::size_t node, const Json& answer) {
  const auto key = answer.at("key").get<std::string>();
  const auto message = answer.at("message").get<std::string>();
  if (++recomputed_[key] > kMostRecomputations) return fail(node, "failed", stage_text(node) + ": " + message);
  log_warning("a stored artifact is damaged and will be computed again: " + message);
  store_.discard(stage_kind(answer.at("kind").get<std::string>()), key);
  in_flight_.erase(outcomes_[node].key);
  std::vector<std::size_t> again = {node};
  for (const std::size_t other : std::exchange(same_[node], {})) again.push_back(other);
  for (const std::size_t each : again) outcomes_[each].state = NodeState::kWaiting;
  for (std::size_t maker = 0; maker < outcomes_.size(); ++maker) {
    if (outcomes_[maker].key != key || outcomes_[maker].state != NodeState::kDone) continue;
    outcomes_[maker].state = NodeState::kWaiting;
    auto& waiting = blocked_[maker];
    waiting.insert(waiting.end(), again.begin(), again.end());
    settle(maker);
  }
  for (const std::size_t each : again) settle(each);
}

std::string Executor::stage_text(std::size_t node) const {
  const PlanNode& stage = plan_.nodes[node];
  return std::string("stage ") + to_string(stage.kind) + (stage.plugin.empty() ? "" : " (plugin " + stage.plugin + ")");
}

std::string Executor::wanted_weights(std::size_t node) const {
  const StageInput* input = plan_.nodes[node].input("weights");
  return input == nullptr ? plan_.nodes[node].task.value("base", std::string()) : outcomes_[input->node].digest;
}

// Long ways first, and of near equals one whose weights this worker has.
std::size_t Executor::pick(const Slot& slot) const {
  std::size_t best = kNone;
  double best_score = -1;
  for (const std::size_t node : ready_) {
    const bool warm = std::count(slot.warm.begin(), slot.warm.end(), wanted_weights(node)) > 0;
    const double score = paths_[node] * (warm ? kWarmBonus : 1);
    if (score > best_score) {
      best = node;
      best_score = score;
    }
  }
  return best;
}

WeightsRef Executor::weights(std::size_t node, const StageInput* last) const {
  const Json& task = plan_.nodes[node].task;
  WeightsRef ref;
  task.at("model").at("source").get_to(ref.source);
  task.at("model").at("device").get_to(ref.device);
  task.at("model").at("dtype").get_to(ref.dtype);
  task.at("base").get_to(ref.base);
  if (last == nullptr) return ref;
  for (const std::size_t link : plan_.weights_chain(last->node)) {
    ref.chain.push_back({plan_.nodes[link].kind, outcomes_[link].key, outcomes_[link].digest});
  }
  return ref;
}

StageRequest Executor::request(std::size_t node) const {
  const PlanNode& stage = plan_.nodes[node];
  StageRequest made;
  made.kind = stage.kind;
  made.key = outcomes_[node].key;
  made.document = stage_key(stage, outcomes_[node].inputs).document;
  made.task = stage.task;
  for (const auto& input : stage.inputs) {
    if (input.role == "weights" || input.role == "aligned") continue;
    made.inputs[input.role] = {plan_.nodes[input.node].kind, outcomes_[input.node].key};
  }
  if (!stage.task.contains("model")) return made;
  made.weights["weights"] = weights(node, stage.input("weights"));
  if (stage.task.contains("sees_aligned")) made.weights["aligned"] = weights(node, stage.input("aligned"));
  if (stage.kind == StageKind::kFinetune) made.weights["aligned"] = made.weights["weights"];  // a tune stage starts from it
  return made;
}

void Executor::dispatch() {
  for (auto& slot : slots_) {
    if (slot->node != kNone || ready_.empty()) continue;
    const std::size_t node = pick(*slot);
    ready_.erase(node);
    slot->node = node;
    outcomes_[node].state = NodeState::kRunning;
    if (!slot->worker) slot->worker = std::make_unique<WorkerProcess>(options_.setup);
    slot->late = false;
    slot->deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.stage_timeout));
    slot->worker->send(to_json(request(node)));  // a worker that died meanwhile shows in its answers
    if (const std::string digest = wanted_weights(node); !digest.empty()) {
      std::erase(slot->warm, digest);
      slot->warm.push_back(digest);
      if (slot->warm.size() > kWarmWeights) slot->warm.pop_front();
    }
  }
}

void Executor::handle(Slot& slot, const Json& answer) {
  const std::size_t node = std::exchange(slot.node, kNone);
  if (slot.late) slot.worker.reset();  // it answered while it was being stopped
  if (outcomes_[node].state != NodeState::kRunning) return;
  const auto status = answer.at("status").get<std::string>();
  if (status == "ok") {
    ++stages_run_;
    ++stages_made_;
    spent_ += answer.at("cost").value("seconds", 0.0);
    expected_ += seconds_[node];
    const auto digest = answer.at("digest").get<std::string>();
    slot.warm.push_back(digest);
    finish(node, digest);
  } else if (status == "corrupt") {
    recompute(node, answer);
  } else {
    ++stages_run_;
    fail(node, "failed", stage_text(node) + ": " + answer.at("message").get<std::string>());
  }
}

void Executor::handle_death(Slot& slot) {
  const std::string death = slot.worker->death();
  slot.worker.reset();
  slot.warm.clear();
  const std::size_t node = std::exchange(slot.node, kNone);
  if (node == kNone) return;
  ++stages_run_;
  if (slot.late) {
    std::string limit = Json(options_.stage_timeout).dump();
    if (limit.ends_with(".0")) limit.resize(limit.size() - 2);
    fail(node, "timeout", stage_text(node) + " was stopped at its time limit of " + limit + " s");
  } else {
    fail(node, "failed", "the worker " + death + " in " + stage_text(node));
  }
}

void Executor::take_answer(Slot& slot) {
  if (const auto answer = slot.worker->receive()) return handle(slot, *answer);
  if (slot.worker->ended()) handle_death(slot);
}

void Executor::stop_late() {
  for (auto& slot : slots_) {
    if (slot->node == kNone || slot->late || Clock::now() < slot->deadline) continue;
    slot->late = true;
    slot->worker->kill();
  }
}

void Executor::wait_for_answers() {
  std::vector<pollfd> watched;
  std::vector<Slot*> owners;
  for (auto& slot : slots_) {
    if (!slot->worker) continue;
    watched.push_back({slot->worker->answers(), POLLIN, 0});
    owners.push_back(slot.get());
  }
  if (::poll(watched.data(), watched.size(), kPollMilliseconds) <= 0) return;
  for (std::size_t i = 0; i < watched.size(); ++i) {
    if (watched[i].revents != 0) take_answer(*owners[i]);
  }
}

void Executor::show_progress() {
  if (!progress_.due()) return;
  ProgressState state;
  std::vector<bool> left(outcomes_.size());
  for (std::size_t id = 0; id < outcomes_.size(); ++id) {
    left[id] = !settled(outcomes_[id]);
    if (outcomes_[id].state == NodeState::kFailed) ++state.failed;
    if (outcomes_[id].state == NodeState::kRunning) ++state.running[plan_.nodes[id].kind];
    if (!left[id]) ++state.done;
  }
  state.total = outcomes_.size();
  const double pace = expected_ > 0 ? spent_ / expected_ : 1;  // estimates know neither this machine nor its load
  state.seconds_left = pace * estimate_total(plan_, seconds_, left, options_.workers);
  progress_.show(state);
}

bool Executor::run() {
  for (std::int64_t i = 0; i < options_.workers; ++i) slots_.push_back(std::make_unique<Slot>());
  while (unsettled() > 0) {
    if (Interruption::requested()) {
      slots_.clear();
      return false;
    }
    dispatch();
    wait_for_answers();
    stop_late();
    show_progress();
  }
  slots_.clear();
  return true;
}

}  // namespace holdfast
