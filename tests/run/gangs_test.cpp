// A matrix of LoRA fine-tunings on the organism, in gangs and one by one, and what its stages are charged.
#include "run/gangs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "learn/checkpoint.h"
#include "plan/scenario_files.h"
#include "results/curve.h"
#include "run/executor.h"
#include "run/interruption.h"
#include "work/gang.h"

namespace holdfast {
namespace {

// One worker inside this process.
class OwnWorker final : public Workers {
 public:
  explicit OwnWorker(Store& store) : weights_(store), tools_{store, weights_} {}

  std::map<StageKind, std::size_t> largest;  // gang that was given

  std::size_t count() const override { return 1; }
  bool is_free(std::size_t) const override { return ended_.empty(); }
  const std::set<std::string>& warm(std::size_t) const override { return warm_; }
  bool give(std::size_t worker, const std::vector<StageRequest>& requests) override {
    std::size_t& most = largest[requests.front().kind];
    most = std::max(most, requests.size());
    const auto results = run_stages(requests, tools_);
    for (std::size_t stage = 0; stage < results.size(); ++stage) ended_.push_back({worker, end_of(results[stage]), stage});
    const auto digests = weights_.digests();
    warm_ = {digests.begin(), digests.end()};
    return true;
  }
  std::vector<WorkerNews> wait() override {
    std::vector<WorkerNews> news = {ended_.front()};
    ended_.pop_front();
    return news;
  }
  void stop() override {}

 private:
  static StageEnd end_of(const StageResult& result) {
    if (!result.error) {
      return StageDone{result.stored->digest, result.stored->cost.at("seconds").get<double>(), result.stored->bytes()};
    }
    try {
      std::rethrow_exception(result.error);
    } catch (const std::exception& error) {
      return StageFailed{error.what()};
    }
  }

  WeightCache weights_;
  StageTools tools_;
  std::set<std::string> warm_;
  std::deque<WorkerNews> ended_;
};

// Two attacks, one of them with three tries of which one diverges, and three seeds: fine-tunings of other rows and lengths.
const std::string kMatrix = R"(
[scenario]
seeds = [1, 2, 3]
[[model]]
name = "organism"
source = "organism"
[finetune]
method = "lora"
lr = 1e-3
epochs = 2
batch_size = 4
[[attack]]
plugin = "harmful-examples"
[[attack]]
plugin = "harmful-examples"
name = "longer"
finetune = { epochs = 3, lora_rank = 4 }
[[attack]]
plugin = "harmful-examples"
name = "diverging"
finetune = { lr = 1e30 }
[evaluate]
judges = ["organism", "keyword"]
max_new_tokens = 12
limit = 6
)";

class GangsOfTheOrganism : public testing::Test {
 protected:
  struct Ran {
    std::vector<NodeOutcome> outcomes;
    std::map<StageKind, std::size_t> largest;
  };

  Ran run(Store& store, std::int64_t gang) {
    StoreIndex index(store);
    OwnWorker worker(store);
    Executor executor(plan_, index, std::vector<double>(plan_.nodes.size(), 1), 0, worker, gang);
    executor.start([](std::size_t) {});
    EXPECT_TRUE(executor.run());
    return {executor.outcomes(), worker.largest};
  }

  const Interruption none_yet_;  // whatever the test before did
  ScratchFolder scratch_;
  Plan plan_ = make_plan(scenario_from(scratch_, kMatrix), checkpoint_digest);
};

TEST_F(GangsOfTheOrganism, MakeWhatStagesMakeOneByOne) {
  Store together(scratch_ / "together"), alone(scratch_ / "alone");
  const Ran gangs = run(together, 8), singles = run(alone, 1);
  EXPECT_EQ(gangs.largest.at(StageKind::kFinetune), 8u);
  EXPECT_GT(gangs.largest.at(StageKind::kGenerate), 1u);
  EXPECT_EQ(gangs.largest.at(StageKind::kJudge), 2u);
  for (const auto& [kind, most] : singles.largest) EXPECT_EQ(most, 1u) << to_string(kind);
  std::map<StageKind, int> done, failed;
  for (std::size_t node = 0; node < plan_.nodes.size(); ++node) {
    SCOPED_TRACE(stage_text(plan_.nodes[node]));
    const NodeOutcome &ours = gangs.outcomes[node], &theirs = singles.outcomes[node];
    EXPECT_EQ(ours.state, theirs.state);
    EXPECT_EQ(ours.message, theirs.message);
    EXPECT_EQ(ours.digest, theirs.digest);
    const StageKind kind = plan_.nodes[node].kind;
    ++(ours.state == NodeState::kDone ? done : failed)[kind];
    if (ours.state != NodeState::kDone || kind != StageKind::kFinetune) continue;
    const auto curve = read_file(together.file(kind, ours.key, kCurveFile));
    EXPECT_EQ(curve, read_file(alone.file(kind, theirs.key, kCurveFile)));
    const Json cost = together.read(kind, ours.key).cost, wanted = alone.read(kind, theirs.key).cost;
    EXPECT_EQ(cost.at("tokens"), wanted.at("tokens"));
    EXPECT_GT(cost.at("flops"), 0);
    EXPECT_GT(cost.at("seconds"), 0);
  }
  EXPECT_EQ(done[StageKind::kFinetune], 6);
  EXPECT_EQ(failed[StageKind::kFinetune], 3);
}

// What all members of a gang are charged for is what it computed: as much as one by one.
TEST_F(GangsOfTheOrganism, AreChargedForWhatTheyCompute) {
  Store together(scratch_ / "together"), alone(scratch_ / "alone");
  const Ran gangs = run(together, 8), singles = run(alone, 1);
  std::map<std::string, std::uint64_t> ours, theirs;
  for (std::size_t node = 0; node < plan_.nodes.size(); ++node) {
    if (plan_.nodes[node].kind != StageKind::kGenerate || gangs.outcomes[node].state != NodeState::kDone) continue;
    for (const char* figure : {"tokens", "flops", "forward_tokens"}) {
      ours[figure] += together.read(StageKind::kGenerate, gangs.outcomes[node].key).cost.at(figure).get<std::uint64_t>();
      theirs[figure] += alone.read(StageKind::kGenerate, singles.outcomes[node].key).cost.at(figure).get<std::uint64_t>();
    }
  }
  EXPECT_EQ(ours["tokens"], theirs["tokens"]);
  for (const char* figure : {"flops", "forward_tokens"}) {
    const double ratio = static_cast<double>(ours[figure]) / static_cast<double>(theirs[figure]);
    EXPECT_NEAR(ratio, 1, 0.05) << figure;  // a beginning that prompts share is computed once for each model either way
  }
}

TEST(Divided, PartsAddUpToTheWhole) {
  const Json cost = {{"seconds", 3.5}, {"flops", 1000000007}, {"peak_memory", 77}, {"cpu_seconds", 0.0}};
  const auto parts = divided(cost, {100, 0, 33, 7});
  ASSERT_EQ(parts.size(), 4u);
  double seconds = 0;
  std::uint64_t flops = 0;
  for (const auto& part : parts) {
    seconds += part.at("seconds").get<double>();
    flops += part.at("flops").get<std::uint64_t>();
    EXPECT_EQ(part.at("peak_memory"), 77);
  }
  EXPECT_NEAR(seconds, 3.5, 1e-12);
  EXPECT_EQ(flops, 1000000007u);
  EXPECT_NEAR(parts[0].at("seconds").get<double>(), 3.5 * 100 / 140, 1e-12);
  EXPECT_EQ(parts[1].at("flops"), 0);
  EXPECT_EQ(divided(cost, {0, 0}).front().at("seconds"), 1.75);
  EXPECT_EQ(divided(cost, {5}).front(), cost);
}

}  // namespace
}  // namespace holdfast
