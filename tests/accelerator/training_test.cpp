// Training on an accelerator ends in the weights of the CPU within the rounding of float64, for which the CPU has no kernels of
// our own.
#include "learn/training.h"

#include <gmock/gmock.h>

#include "accelerator/standin.h"
#include "base/scratch_folder.h"
#include "learn/weight_change.h"

namespace holdfast {
namespace {

struct PowerCut {};

struct Case {
  std::string checkpoint, method;
  at::ScalarType type;
};

// A stage that remembers something on the device and something on the host.
class Remembers final : public TrainingStage {
 public:
  void begin(Trainer& trainer) override {
    there = at::zeros({2}, at::TensorOptions(trainer.model().device()).dtype(at::kFloat));
  }
  double step(Trainer& trainer) override {
    ++calls;
    there.add_(1);
    here.add_(1);
    return trainer.backward(trainer.rows().next());
  }
  bool archive(Archive& archive) override {
    archive("there", there);
    archive("here", here);
    return true;
  }

  int calls = 0;
  at::Tensor there, here = at::zeros({2}, at::kFloat);
};

class TrainingOnAnAccelerator : public testing::TestWithParam<Case> {
 protected:
  struct Outcome {
    std::unique_ptr<LanguageModel> model;
    std::vector<TrainedStep> records;
  };

  static TrainingOptions options() {
    TrainingOptions made;
    made.method = GetParam().method;
    made.lr = 1e-3;
    made.epochs = 2;
    made.batch_size = 3;
    made.micro_batch_size = 2;
    made.clip_norm = 0.5;
    made.lora_rank = 3;
    return made;
  }

  static std::unique_ptr<LanguageModel> untrained(at::Device where) {
    return standin::load(GetParam().checkpoint, GetParam().type, where);
  }
  static Outcome trained(at::Device where, const TrainingRun& run = {}) {
    Outcome outcome{untrained(where), {}};
    outcome.records = train(*outcome.model, fixtures::trained_rows(), options(), run);
    return outcome;
  }
};

INSTANTIATE_TEST_SUITE_P(Cases, TrainingOnAnAccelerator,
                         testing::Values(Case{"grouped", "full", at::kDouble}, Case{"grouped", "lora", at::kDouble},
                                         Case{"gemma3", "full", at::kDouble}),
                         [](const auto& info) {
                           return info.param.checkpoint + "_" + info.param.method + "_" + c10::toString(info.param.type);
                         });

// The last bits are not the same: what is added in another order differs by about 1e-15 a sum in float64.
constexpr double kRounding = 1e-10;

void expect_near(const LanguageModel& there, const LanguageModel& here, double tolerance) {
  for (const auto& [name, weight] : here.weights()) {
    EXPECT_LT((there.weights().at(name).cpu() - weight).abs().max().item<double>(), tolerance) << name;
  }
}

TEST_P(TrainingOnAnAccelerator, EndsInTheWeightsOfTheProcessor) {
  const Outcome here = trained(at::kCPU), there = trained(standin::device());
  ASSERT_EQ(there.records.size(), here.records.size());
  for (std::size_t i = 0; i < here.records.size(); ++i) {
    EXPECT_NEAR(there.records[i].loss, here.records[i].loss, kRounding) << "step " << i + 1;
    EXPECT_NEAR(there.records[i].gradient_norm, here.records[i].gradient_norm, kRounding) << "step " << i + 1;
  }
  expect_near(*there.model, *here.model, kRounding);
  for (const auto& [name, tensor] : there.model->trainable()) EXPECT_EQ(tensor.device(), standin::device()) << name;
}

TEST_P(TrainingOnAnAccelerator, IsStoredAndReadAsOnTheProcessor) {
  if (GetParam().method == "lora") GTEST_SKIP() << "factors are kept as they are, and no file holds float64";
  const ScratchFolder folder;
  std::vector<std::unique_ptr<LanguageModel>> read;
  for (const at::Device where : {at::Device(at::kCPU), standin::device()}) {
    read.push_back(untrained(where));
    write_weight_change(folder / where.str(), *read.back(), *trained(where).model);
    apply_weight_change(*read.back(), folder / where.str());
  }
  expect_near(*read[1], *read[0], 1e-5);  // a change that is kept in 16 bits may round the other way
}

// In types that a checkpoint holds.
using ResumedOnAnAccelerator = TrainingOnAnAccelerator;
INSTANTIATE_TEST_SUITE_P(Cases, ResumedOnAnAccelerator,
                         testing::Values(Case{"grouped", "full", at::kBFloat16}, Case{"grouped", "lora", at::kBFloat16}),
                         [](const auto& info) { return info.param.method; });

TEST_P(ResumedOnAnAccelerator, EndsInTheSameBits) {
  const ScratchFolder folder;
  Remembers stopped, resumed;
  TrainingRun run;
  run.members = {{"a stage", &stopped}};
  run.checkpoint = {folder / "checkpoint", 0, [] { return "the fixture"; }};
  run.on_step = [](const TrainedStep& step) {
    if (step.step == 4) throw PowerCut();
  };
  EXPECT_THROW(trained(standin::device(), run), PowerCut);
  run.on_step = nullptr;
  run.members = {{"a stage", &resumed}};
  const Outcome outcome = trained(standin::device(), run);
  EXPECT_EQ(stopped.calls + resumed.calls, 6 + 1) << "the step that was under way is made again, those before it are not";
  EXPECT_EQ(resumed.there.device(), standin::device());
  EXPECT_EQ(resumed.there[1].item<float>(), 6);
  EXPECT_TRUE(resumed.here.is_cpu());
  EXPECT_EQ(resumed.here[1].item<float>(), 6);
  const Outcome whole = trained(standin::device());
  for (const auto& [name, weight] : whole.model->weights())
    EXPECT_TRUE(at::equal(outcome.model->weights().at(name), weight)) << name;
}

}  // namespace
}  // namespace holdfast
