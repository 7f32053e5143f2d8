#include "run/stage_graph.h"

#include <holdfast/log.h>

#include <algorithm>
#include <utility>

#include "plan/stage_key.h"
#include "run/gangs.h"

namespace holdfast {
namespace {

constexpr int kMostTimesMadeAgain = 2;

bool settled(NodeState state) { return state == NodeState::kDone || state == NodeState::kFailed; }

std::size_t hash_of(const std::string& key) { return std::hash<std::string>()(key); }

}  // namespace

std::string stage_text(const PlanNode& stage) {
  return std::string("stage ") + to_string(stage.kind) + (stage.plugin.empty() ? "" : " (plugin " + stage.plugin + ")");
}

StageGraph::StageGraph(const Plan& plan, StoreIndex& index, DiskBudget& budget, Schedule& schedule, std::vector<double> seconds)
    : plan_(plan),
      index_(index),
      budget_(budget),
      schedule_(schedule),
      seconds_(std::move(seconds)),
      links_(plan),
      outcomes_(plan.nodes.size()),
      unsettled_(plan.nodes.size()),
      users_(plan.nodes.size()),
      done_at_(plan.nodes.size()),
      run_at_(plan.nodes.size()) {
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    seconds_left_[static_cast<std::size_t>(plan.nodes[id].kind)] += seconds_[id];
    users_[id] = static_cast<std::uint32_t>(links_.readers(id).size()) + 1;
  }
}

void StageGraph::start(std::function<void(std::size_t)> on_settled) {
  on_settled_ = std::move(on_settled);
  for (std::size_t id = 0; id < plan_.nodes.size(); ++id) settle(id);
}

// Keeps up what is counted.
void StageGraph::set_state(std::size_t node, NodeState state) {
  const NodeState before = std::exchange(outcomes_[node].state, state);
  failed_ += state == NodeState::kFailed ? 1 : 0;  // for good
  if (settled(before) == settled(state)) return;
  const bool opens = settled(before);
  unsettled_ += opens ? 1 : -1;
  seconds_left_[static_cast<std::size_t>(plan_.nodes[node].kind)] += opens ? seconds_[node] : -seconds_[node];
  const auto use = [&](std::size_t used) { opens ? hold(used) : let_go(used); };
  use(node);
  for (const std::uint32_t read : links_.reads(node)) use(read);
}

void StageGraph::hold(std::size_t node) {
  if (users_[node]++ == 0 && !outcomes_[node].key.empty()) budget_.hold(plan_.nodes[node].kind, outcomes_[node].key);
}

void StageGraph::let_go(std::size_t node) {
  if (--users_[node] == 0 && !outcomes_[node].key.empty()) budget_.let_go(plan_.nodes[node].kind, outcomes_[node].key);
}

void StageGraph::set_key(std::size_t node, std::string key) {
  NodeOutcome& outcome = outcomes_[node];
  if (outcome.key == key) return;
  const StageKind kind = plan_.nodes[node].kind;
  if (!outcome.key.empty() && users_[node] > 0) budget_.let_go(kind, outcome.key);
  outcome.key = std::move(key);
  outcome.digest.clear();
  keyed_.emplace(hash_of(outcome.key), static_cast<std::uint32_t>(node));
  if (users_[node] > 0) budget_.hold(kind, outcome.key);
}

std::vector<std::string> StageGraph::input_digests(std::size_t node) const {
  std::vector<std::string> digests;
  for (const auto& input : plan_.nodes[node].inputs) digests.push_back(outcomes_[input.node].digest);
  return digests;
}

// A waiting node whose inputs are known gets its key. It is done when the store has it, and ready when the files are there that
// it reads.
void StageGraph::settle(std::size_t node) {
  NodeOutcome& outcome = outcomes_[node];
  if (outcome.state != NodeState::kWaiting) return;
  const PlanNode& stage = plan_.nodes[node];
  if (!stage.fault.empty()) return fail(node, "failed", stage_text(stage) + ": " + stage.fault);
  for (const auto& input : stage.inputs) {
    const NodeOutcome& made = outcomes_[input.node];
    if (made.state == NodeState::kFailed) return fail(node, made.status, made.message);
    if (made.state != NodeState::kDone) return;
  }
  set_key(node, stage_key(stage, input_digests(node)).key);
  const std::string& key = outcome.key;
  if (const auto running = in_flight_.find(key); running != in_flight_.end()) {
    set_state(node, NodeState::kSame);
    same_[running->second].push_back(node);
    return;
  }
  if (const StoredArtifact* stored = index_.look_again(stage.kind, key)) {
    if (outcome.digest.empty()) outcome.digest = stored->digest;
    if (!stored->dropped || !wanted_.contains(key)) return finish(node, std::string(stored->digest), stored->dropped);
  }
  if (!files_are_there(node) || outcome.state != NodeState::kWaiting) return;
  set_state(node, NodeState::kReady);
  in_flight_[key] = node;
  schedule_.add(node, wanted_weights(node), shape_of(node));
}

void StageGraph::run(std::size_t node) {
  set_state(node, NodeState::kRunning);
  run_at_[node] = ++clock_;
}

void StageGraph::again(std::size_t node) {
  for (const std::size_t each : release(node)) settle(each);
}

void StageGraph::done(std::size_t node, StoredArtifact artifact) {
  const StageKind kind = plan_.nodes[node].kind;
  const std::string digest = artifact.digest;
  budget_.leaving(kind, outcomes_[node].key);
  index_.add(kind, outcomes_[node].key, std::move(artifact));
  budget_.added(kind, outcomes_[node].key);
  finish(node, digest, false);
}

void StageGraph::finish(std::size_t node, const std::string& digest, bool dropped) {
  NodeOutcome& outcome = outcomes_[node];
  if (!outcome.digest.empty() && outcome.digest != digest) {
    contents_changed_ = true;
    log_warning(stage_text(plan_.nodes[node]) + " does not repeat its bits: made again, its artifact " + outcome.key +
                " holds something else than before, so what was made from the former one is made again too");
  }
  outcome.digest = digest;
  outcome.dropped = dropped;
  set_state(node, NodeState::kDone);
  done_at_[node] = ++clock_;
  wanted_.erase(outcome.key);
  for (const std::size_t other : land(node)) finish(other, digest, dropped);
  if (outdated(node)) {
    set_state(node, NodeState::kWaiting);
    return settle(node);
  }
  on_settled_(node);
  for (const std::size_t child : plan_.nodes[node].children) {
    if (outcomes_[child].state == NodeState::kDone && outdated(child)) set_state(child, NodeState::kWaiting);
  }
  for (const std::uint32_t reader : links_.readers(node)) settle(reader);
}

// Whether an input has another content than the one that the node was made of.
bool StageGraph::outdated(std::size_t node) const {
  return contents_changed_ && stage_key(plan_.nodes[node], input_digests(node)).key != outcomes_[node].key;
}

void StageGraph::fail(std::size_t node, const std::string& status, const std::string& message) {
  NodeOutcome& outcome = outcomes_[node];
  if (settled(outcome.state)) return;
  if (outcome.digest.empty()) {
    outcome.status = status;
    outcome.message = message;
    set_state(node, NodeState::kFailed);
    on_settled_(node);
  } else {  // what was made from it stays: only those are lost that still read its files
    outcome.dropped = true;
    set_state(node, NodeState::kDone);
  }
  schedule_.remove(node);
  for (const std::size_t other : land(node)) fail(other, status, message);
  for (const std::uint32_t reader : links_.readers(node)) fail(reader, status, message);
}

// Files that were dropped are made again first.
bool StageGraph::files_are_there(std::size_t node) {
  for (const std::uint32_t read : links_.reads(node)) {
    if (outcomes_[read].state == NodeState::kDone && outcomes_[read].dropped) make_again(read);
  }
  const auto reads = links_.reads(node);
  return std::all_of(reads.begin(), reads.end(), [&](std::uint32_t read) { return outcomes_[read].state == NodeState::kDone; });
}

// Another node may stand for the key from now on. Returns those that waited for this one, as far as they still do.
std::vector<std::size_t> StageGraph::land(std::size_t node) {
  const auto flight = in_flight_.find(outcomes_[node].key);
  if (flight != in_flight_.end() && flight->second == node) in_flight_.erase(flight);
  std::vector<std::size_t> others;
  if (auto same = same_.extract(node)) others = std::move(same.mapped());
  std::erase_if(others, [&](std::size_t other) { return outcomes_[other].state != NodeState::kSame; });
  return others;
}

// Puts a stage, with those of the same key, back to waiting.
std::vector<std::size_t> StageGraph::release(std::size_t node) {
  schedule_.remove(node);
  std::vector<std::size_t> released = land(node);
  released.push_back(node);
  for (const std::size_t each : released) set_state(each, NodeState::kWaiting);
  return released;
}

// A node that is done runs again for its files; who would read them waits meanwhile.
void StageGraph::make_again(std::size_t node) {
  wanted_.insert(outcomes_[node].key);
  set_state(node, NodeState::kWaiting);
  std::vector<std::size_t> released;
  for (const std::uint32_t reader : links_.readers(node)) {
    if (outcomes_[reader].state != NodeState::kReady) continue;
    for (const std::size_t each : release(reader)) released.push_back(each);
  }
  settle(node);
  for (const std::size_t each : released) settle(each);
}

std::vector<std::size_t> StageGraph::done_with_key(const std::string& key) const {
  std::vector<std::size_t> nodes;
  const auto [begin, end] = keyed_.equal_range(hash_of(key));
  for (auto entry = begin; entry != end; ++entry) {
    const NodeOutcome& outcome = outcomes_[entry->second];
    if (outcome.key == key && outcome.state == NodeState::kDone) nodes.push_back(entry->second);
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

void StageGraph::damaged(std::size_t node, StageKind kind, const std::string& key, const std::string& message) {
  const auto makers = done_with_key(key);
  const bool made_since =
      std::any_of(makers.begin(), makers.end(), [&](std::size_t maker) { return done_at_[maker] > run_at_[node]; });
  const bool first = !makers.empty() && !made_since;
  if (first && ++made_again_[key] > kMostTimesMadeAgain) {
    return fail(node, "failed", stage_text(plan_.nodes[node]) + ": " + message);
  }
  const auto released = release(node);
  if (first) {
    budget_.leaving(kind, key);
    const StoredArtifact* stored = index_.read_again(kind, key);
    if (stored == nullptr || !stored->dropped) {  // another run may have dropped it
      log_warning("a stored artifact is damaged and will be computed again: " + message);
      index_.discard(kind, key);
    }
    for (const std::size_t maker : makers) make_again(maker);
  }
  for (const std::size_t each : released) settle(each);
}

std::string StageGraph::shape_of(std::size_t node) const {
  const StageInput* parent = gang_parent(plan_, node);
  return gang_shape(plan_, node, parent == nullptr ? "" : outcomes_[parent->node].digest);
}

// Those that it starts from, or else looks at.
std::string StageGraph::wanted_weights(std::size_t node) const {
  const PlanNode& stage = plan_.nodes[node];
  for (const char* role : {"weights", "aligned"}) {
    if (const StageInput* input = stage.input(role)) return outcomes_[input->node].digest;
  }
  const std::string* base = stage.task->find("base");
  return base == nullptr ? "" : Json::parse(*base).get<std::string>();
}

}  // namespace holdfast
