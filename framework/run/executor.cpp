#include "run/executor.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>

#include "plan/estimate.h"
#include "plan/stage_key.h"
#include "run/interruption.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr double kWarmBonus = 1.5;  // a stage whose weights are warm may overtake one with a way this much longer
constexpr int kMostRecomputations = 2;
constexpr int kPollMilliseconds = 200;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string gib_text(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g GiB", static_cast<double>(bytes) / static_cast<double>(1ULL << 30));
  return text;
}

bool settled(const NodeOutcome& outcome) { return outcome.state == NodeState::kDone || outcome.state == NodeState::kFailed; }

}  // namespace

// One worker's place. The process is started when there is work, and again after it died.
struct Executor::Slot {
  std::unique_ptr<WorkerProcess> worker;
  std::size_t node = kNone;
  Clock::time_point started, deadline;
  std::uint64_t sent = 0;  // by the executor's clock
  bool late = false;
  std::set<std::string> warm;      // content digests of the weights that it has in memory, as it said
  Json progress = Json::object();  // of its stage, as it said last
};

Executor::Executor(const Plan& plan, const Scenario& scenario, Store& store, std::vector<double> seconds,
                   ExecutorOptions options)
    : plan_(plan),
      scenario_(scenario),
      store_(store),
      seconds_(std::move(seconds)),
      paths_(critical_paths(plan, seconds_)),
      options_(std::move(options)),
      outcomes_(plan.nodes.size()),
      reads_(plan.nodes.size()),
      readers_(plan.nodes.size()),
      made_(plan.nodes.size()) {
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    reads_[id] = plan.read_by(id);
    for (const std::size_t read : reads_[id]) readers_[read].push_back(id);
  }
}

Executor::~Executor() = default;

void Executor::start(std::function<void(std::size_t)> on_settled) {
  on_settled_ = std::move(on_settled);
  for (std::size_t id = 0; id < plan_.nodes.size(); ++id) settle(id);
  if (options_.disk_budget > 0) stored_ = store_.bytes();
  keep_budget();
}

std::size_t Executor::unsettled() const {
  return static_cast<std::size_t>(std::count_if(outcomes_.begin(), outcomes_.end(), [](const auto& o) { return !settled(o); }));
}

// A waiting node whose inputs are known gets its key. It is done when the store has it, and ready when the files are there that
// it reads.
void Executor::settle(std::size_t node) {
  NodeOutcome& outcome = outcomes_[node];
  if (outcome.state != NodeState::kWaiting) return;
  if (!plan_.nodes[node].fault.empty()) return fail(node, "failed", stage_text(node) + ": " + plan_.nodes[node].fault);
  std::vector<std::string> inputs;
  for (const auto& input : plan_.nodes[node].inputs) {
    const NodeOutcome& made = outcomes_[input.node];
    if (made.state == NodeState::kFailed) return fail(node, made.status, made.message);
    if (made.state != NodeState::kDone) return;
    inputs.push_back(made.digest);
  }
  outcome.inputs = std::move(inputs);
  const std::string key = stage_key(plan_.nodes[node], outcome.inputs).key;
  if (key != outcome.key) outcome.digest.clear();
  outcome.key = key;
  if (const auto running = in_flight_.find(key); running != in_flight_.end()) {
    outcome.state = NodeState::kSame;
    same_[running->second].push_back(node);
    return;
  }
  const auto stored = store_.find(plan_.nodes[node].kind, key);
  if (stored && outcome.digest.empty()) outcome.digest = stored->digest;
  if (stored && !(stored->dropped && wanted_.contains(key))) return finish(node, stored->digest, stored->dropped);
  if (!files_are_there(node) || outcome.state != NodeState::kWaiting) return;
  outcome.state = NodeState::kReady;
  in_flight_[key] = node;
  ready_.insert(node);
}

void Executor::finish(std::size_t node, const std::string& digest, bool dropped) {
  NodeOutcome& outcome = outcomes_[node];
  if (!outcome.digest.empty() && outcome.digest != digest) {
    log_warning(stage_text(node) + " does not repeat its bits: made again, its artifact " + outcome.key +
                " holds something else than before, so what was made from the former one is made again too");
  }
  outcome.state = NodeState::kDone;
  outcome.digest = digest;
  outcome.dropped = dropped;
  made_[node] = ++clock_;
  wanted_.erase(outcome.key);
  in_flight_.erase(outcome.key);
  for (const std::size_t other : std::exchange(same_[node], {})) finish(other, digest, dropped);
  if (outdated(node)) {
    outcome.state = NodeState::kWaiting;
    return settle(node);
  }
  on_settled_(node);
  for (const std::size_t child : plan_.nodes[node].children) {
    if (outcomes_[child].state == NodeState::kDone && outdated(child)) outcomes_[child].state = NodeState::kWaiting;
  }
  for (const std::size_t reader : readers_[node]) settle(reader);
}

// Whether an input has another content than the one that the node was made of.
bool Executor::outdated(std::size_t node) const {
  const auto& inputs = plan_.nodes[node].inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (outcomes_[inputs[i].node].digest != outcomes_[node].inputs[i]) return true;
  }
  return false;
}

void Executor::fail(std::size_t node, const std::string& status, const std::string& message) {
  NodeOutcome& outcome = outcomes_[node];
  if (settled(outcome)) return;
  if (outcome.digest.empty()) {
    outcome.state = NodeState::kFailed;
    outcome.status = status;
    outcome.message = message;
    on_settled_(node);
  } else {  // what was made from it stays: only those are lost that still read its files
    outcome.state = NodeState::kDone;
    outcome.dropped = true;
  }
  in_flight_.erase(outcome.key);
  ready_.erase(node);
  for (const std::size_t other : std::exchange(same_[node], {})) fail(other, status, message);
  for (const std::size_t reader : readers_[node]) fail(reader, status, message);
}

// Files that were dropped are made again first.
bool Executor::files_are_there(std::size_t node) {
  for (const std::size_t read : reads_[node]) {
    if (outcomes_[read].state == NodeState::kDone && outcomes_[read].dropped) make_again(read);
  }
  return std::all_of(reads_[node].begin(), reads_[node].end(),
                     [&](std::size_t read) { return outcomes_[read].state == NodeState::kDone; });
}

// Puts a stage, with those of the same key, back to waiting.
std::vector<std::size_t> Executor::release(std::size_t node) {
  in_flight_.erase(outcomes_[node].key);
  ready_.erase(node);
  std::vector<std::size_t> released = std::exchange(same_[node], {});
  released.push_back(node);
  for (const std::size_t each : released) outcomes_[each].state = NodeState::kWaiting;
  return released;
}

// A node that is done runs again for its files; who would read them waits meanwhile.
void Executor::make_again(std::size_t node) {
  wanted_.insert(outcomes_[node].key);
  outcomes_[node].state = NodeState::kWaiting;
  std::vector<std::size_t> released;
  for (const std::size_t reader : readers_[node]) {
    if (outcomes_[reader].state != NodeState::kReady) continue;
    for (const std::size_t each : release(reader)) released.push_back(each);
  }
  settle(node);
  for (const std::size_t each : released) settle(each);
}

// A worker found a file damaged or gone: the stage that made it runs again, and this one waits for it. Other stages may report
// the same, while it runs or after it ran: they wait too, or try once more.
void Executor::recompute(const Slot& slot, std::size_t node, const Json& answer) {
  const auto kind = stage_kind(answer.at("kind").get<std::string>());
  const auto key = answer.at("key").get<std::string>();
  const auto message = answer.at("message").get<std::string>();
  std::vector<std::size_t> makers;
  bool made_since = false;
  for (std::size_t id = 0; id < outcomes_.size(); ++id) {
    if (outcomes_[id].key != key || outcomes_[id].state != NodeState::kDone) continue;
    makers.push_back(id);
    made_since = made_since || made_[id] > slot.sent;
  }
  const bool first = !makers.empty() && !made_since;
  if (first && ++recomputed_[key] > kMostRecomputations) return fail(node, "failed", stage_text(node) + ": " + message);
  const auto released = release(node);
  if (first) {
    const auto stored = store_.find(kind, key);
    if (!stored || !stored->dropped) {
      log_warning("a stored artifact is damaged and will be computed again: " + message);
      store_.discard(kind, key);
    }
    for (const std::size_t maker : makers) make_again(maker);
  }
  for (const std::size_t each : released) settle(each);
}

// Files whose last reader is settled may go.
void Executor::keep_budget() {
  if (options_.disk_budget == 0 || stored_ <= options_.disk_budget) return;
  std::set<std::string> keep;
  for (std::size_t id = 0; id < outcomes_.size(); ++id) {
    if (settled(outcomes_[id])) continue;
    keep.insert(outcomes_[id].key);
    for (const std::size_t read : reads_[id]) keep.insert(outcomes_[read].key);
  }
  if (!kept_.empty() && std::includes(keep.begin(), keep.end(), kept_.begin(), kept_.end())) return;  // nothing is free since
  stored_ = store_.evict(options_.disk_budget, keep);
  kept_ = std::move(keep);
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
    const bool warm = slot.warm.contains(wanted_weights(node));
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
    slot->progress = Json::object();
    slot->sent = ++clock_;
    slot->started = Clock::now();
    slot->deadline =
        slot->started + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.stage_timeout));
    slot->worker->send(to_json(request(node)));  // a worker that died meanwhile shows in its answers
  }
}

void Executor::handle(Slot& slot, const Json& answer) {
  if (answer.contains("progress")) {
    slot.progress = answer.at("progress");
    return;
  }
  const std::size_t node = std::exchange(slot.node, kNone);
  slot.warm = answer.at("warm").get<std::set<std::string>>();
  const bool broken = answer.value("broken", false);
  if (slot.late || broken) {  // one that answered while it was being stopped, or whose state nobody knows
    slot.worker.reset();
    slot.warm.clear();
  }
  if (outcomes_[node].state == NodeState::kRunning) settle_answer(slot, node, answer);
}

void Executor::settle_answer(const Slot& slot, std::size_t node, const Json& answer) {
  const auto status = answer.at("status").get<std::string>();
  if (status == "ok") {
    ++stages_run_;
    ++stages_made_;
    Paid& paid = paid_[plan_.nodes[node].kind];
    paid.spent += answer.at("cost").value("seconds", 0.0);
    paid.expected += seconds_[node];
    stored_ += answer.at("bytes").get<std::uint64_t>();
    finish(node, answer.at("digest").get<std::string>());
  } else if (status == "corrupt") {
    recompute(slot, node, answer);
  } else {
    ++stages_run_;
    fail(node, "failed", stage_text(node) + ": " + answer.at("message").get<std::string>());
  }
  keep_budget();
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
  auto answer = slot.worker->receive();
  if (!answer && slot.worker->ended()) return handle_death(slot);
  while (answer) {
    handle(slot, *answer);
    answer = slot.worker ? slot.worker->next_received() : std::nullopt;
  }
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

// Estimates know neither this machine nor its load: what stages took beside what they were estimated at, those of the same kind
// first.
double Executor::pace(StageKind kind) const {
  const auto same = paid_.find(kind);
  if (same != paid_.end() && same->second.expected > 0) return same->second.spent / same->second.expected;
  Paid all;
  for (const auto& [other, paid] : paid_) {
    all.spent += paid.spent;
    all.expected += paid.expected;
  }
  return all.expected > 0 ? all.spent / all.expected : 1;
}

void Executor::show_progress() {
  if (!progress_.due()) return;
  ProgressState state;
  std::vector<bool> left(outcomes_.size());
  std::vector<double> seconds(outcomes_.size());
  const auto paid = paid_;
  for (const auto& slot : slots_) {  // a stage that knows how far it is says how fast its kind is
    if (slot->node == kNone) continue;
    const double part = part_done(slot->progress);
    if (part <= 0) continue;
    paid_[plan_.nodes[slot->node].kind].spent += seconds_since(slot->started);
    paid_[plan_.nodes[slot->node].kind].expected += part * seconds_[slot->node];
  }
  for (std::size_t id = 0; id < outcomes_.size(); ++id) {
    left[id] = !settled(outcomes_[id]);
    seconds[id] = pace(plan_.nodes[id].kind) * seconds_[id];
    if (outcomes_[id].state == NodeState::kFailed) ++state.failed;
    if (!left[id]) ++state.done;
  }
  paid_ = paid;
  for (const auto& slot : slots_) {
    if (slot->node == kNone) continue;
    const double spent = seconds_since(slot->started);
    const double part = part_done(slot->progress);
    seconds[slot->node] = part > 0 ? spent * (1 - part) / part : std::max(0.0, seconds[slot->node] - spent);
    state.running.push_back({plan_.nodes[slot->node].kind, work_text(slot->progress)});
  }
  state.total = outcomes_.size();
  state.seconds_left = estimate_total(plan_, seconds, left, options_.workers);
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
  if (options_.disk_budget > 0 && stored_ > options_.disk_budget) {
    log_warning("the store holds " + gib_text(stored_) + " and its disk budget is " + gib_text(options_.disk_budget) +
                ": replies and verdicts are never dropped, raise disk_budget_gib or remove a store that is no longer needed");
  }
  return true;
}

}  // namespace holdfast
