// The optimizer, the loop around it, and what defenses see of a step.
#include "learn/training.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>

#include "base/message_of.h"
#include "fakes/model.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/optimizer.h"

namespace holdfast {
namespace {

using fixtures::distance;

// A parameter of the given values whose gradient can be set.
at::Tensor parameter(const std::vector<double>& values, at::ScalarType type) {
  return at::tensor(values, at::kDouble).to(type).set_requires_grad(true);
}

void set_gradient(at::Tensor& parameter, const std::vector<double>& values) {
  parameter.mutable_grad() = at::tensor(values, at::kDouble).to(parameter.scalar_type());
}

TEST(AdamW, EqualsItsDefinitionInFloat64) {
  constexpr double kDecay = 0.1;
  std::vector<double> w = {1.5, -0.2, 0.03}, m(3, 0), v(3, 0);
  at::Tensor tensor = parameter(w, at::kDouble);
  MasterWeights weights({tensor});
  AdamW optimizer(weights, kDecay);
  for (int step = 1; step <= 6; ++step) {
    const double lr = 0.01 / step;
    const std::vector<double> g = {std::sin(step), 0.3 * step, step == 2 ? 0 : -1e-6};
    set_gradient(tensor, g);
    optimizer.step(gradients_of({tensor}), lr);
    for (std::size_t i = 0; i < 3; ++i) {
      w[i] -= lr * kDecay * w[i];
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      w[i] -= lr * (m[i] / (1 - std::pow(0.9, step))) / (std::sqrt(v[i] / (1 - std::pow(0.999, step))) + 1e-8);
      EXPECT_NEAR(tensor[static_cast<std::int64_t>(i)].item<double>(), w[i], 1e-12) << "step " << step;
    }
  }
}

// The 16-bit parameter is its float32 master rounded, at every step: each step alone is far below bfloat16's resolution at 1.
TEST(AdamW, RoundsAMasterOfSixteenBitParameters) {
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    at::Tensor shorter = parameter({1, -1, 0.5}, type), master = parameter({1, -1, 0.5}, at::kFloat);
    MasterWeights short_weights({shorter}), long_weights({master});
    AdamW optimizer(short_weights, 0.1), reference(long_weights, 0.1);
    for (int step = 0; step < 200; ++step) {
      const std::vector<double> gradient = {1, std::cos(step), -0.25};
      set_gradient(shorter, gradient);
      master.mutable_grad() = shorter.grad().to(at::kFloat);
      optimizer.step(gradients_of({shorter}), 1e-4);
      reference.step(gradients_of({master}), 1e-4);
      ASSERT_TRUE(at::equal(shorter, master.to(type))) << type << " step " << step;
    }
    EXPECT_NEAR(master[0].item<double>(), 0.978, 1e-3);
  }
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  at::Tensor idle = parameter({3}, at::kFloat), moved = parameter({3}, at::kFloat);
  MasterWeights weights({idle, moved});
  AdamW optimizer(weights, 0.5);
  set_gradient(moved, {1});
  optimizer.step(gradients_of({idle, moved}), 0.1);
  EXPECT_EQ(idle.item<double>(), 3);
  EXPECT_LT(moved.item<double>(), 2.8);
}

TEST(ClipGradients, ScalesByTheCommonNorm) {
  at::Tensor a = parameter({0, 0}, at::kFloat), b = parameter({0}, at::kDouble), none = parameter({0}, at::kFloat);
  const auto fill = [&] {
    set_gradient(a, {3, 4});
    set_gradient(b, {12});
  };
  fill();
  EXPECT_NEAR(clip_gradients({a, b, none}, 1), 13, 1e-5);
  EXPECT_NEAR(a.grad()[1].item<double>(), 4.0 / 13, 1e-6);
  EXPECT_NEAR(b.grad()[0].item<double>(), 12.0 / 13, 1e-6);
  fill();
  EXPECT_NEAR(clip_gradients({a, b}, 14), 13, 1e-5);
  EXPECT_EQ(b.grad()[0].item<double>(), 12);
  EXPECT_NEAR(clip_gradients({a, b}, 0), 13, 1e-5);
  EXPECT_EQ(b.grad()[0].item<double>(), 12);
}

class Training : public testing::Test {
 protected:
  std::vector<TrainedStep> run(TrainingOptions options, const TrainingRun& run = {}) {
    return train(*model_, data_, options, run);
  }
  std::vector<double> rates(TrainingOptions options) {
    options.lr = 1e-4;
    options.batch_size = 4;  // 7 rows: 2 steps an epoch
    options.epochs = 3;
    std::vector<double> rates;
    for (const auto& record : run(options)) rates.push_back(record.lr / 1e-4);
    return rates;
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::load("grouped");
  Dataset data_ = fixtures::trained_rows();
};

auto near(const std::vector<double>& values) { return testing::Pointwise(testing::DoubleNear(1e-12), values); }

TEST_F(Training, SchedulesByValue) {
  TrainingOptions options;
  EXPECT_THAT(rates(options), near({1, 1, 1, 1, 1, 1}));
  options.schedule = "linear";
  EXPECT_THAT(rates(options), near({1, 5.0 / 6, 4.0 / 6, 3.0 / 6, 2.0 / 6, 1.0 / 6}));
  options.warmup_steps = 2;
  EXPECT_THAT(rates(options), near({0.5, 1, 1, 0.75, 0.5, 0.25}));
  options.schedule = "cosine";
  const double quarter = (1 + std::sqrt(0.5)) / 2;
  EXPECT_THAT(rates(options), near({0.5, 1, 1, quarter, 0.5, 1 - quarter}));
  options.schedule = "step";
  options.warmup_steps = 0;
  options.step_gamma = 0.5;
  EXPECT_THAT(rates(options), near({1, 1, 0.5, 0.5, 0.25, 0.25}));
}

TEST_F(Training, PackingChangesNoMeanHiddenState) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  std::vector<Conversation> conversations;
  std::vector<Encoded> encoded;
  for (auto& example : data_) {
    set_system(example.messages, "Be brief and kind, and say what you do not know.");
    conversations.push_back(example.messages);
    encoded.push_back(model->encode(example.messages));
  }
  ASSERT_GT(model->pack(encoded).shared_prefix, 20);
  const at::Tensor together = model->mean_hidden(conversations);
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const c10::NoGradGuard no_grad;
    const Batch alone = model->pack({encoded[i]});
    EXPECT_LT(distance(together[static_cast<std::int64_t>(i)], model->hidden(alone).mean(0)), 1e-12) << i;
  }
}

TEST_F(Training, MeanHiddenStatesAreThoseOfTheWeightsOfTheMoment) {
  const auto model = fixtures::load("grouped");
  const std::vector<Conversation> asked = {{{"user", "a question"}}, {{"user", "another one"}}};
  std::vector<at::Tensor> seen;
  StepStage stage([&](Trainer& trainer) {
    seen.push_back(trainer.model().mean_hidden(asked));
    EXPECT_TRUE(seen.back().equal(dynamic_cast<LanguageModel&>(trainer.model()).clone()->mean_hidden(asked)));
    return trainer.backward(trainer.rows().next());
  });
  TrainingRun run;
  run.members = {{"a stage", &stage}};
  TrainingOptions options;
  options.lr = 1e-2;
  options.batch_size = 1;
  train(*model, data_, options, run);
  ASSERT_GT(seen.size(), 1u);
  EXPECT_GT(distance(seen.front(), seen.back()), 1e-3);
}

// Whatever a worker asked of a shared model before, a stage gets the same bits.
TEST_F(Training, MeanHiddenStatesDoNotDependOnWhatWasAskedBefore) {
  std::vector<Conversation> asked;
  for (int i = 0; i < 9; ++i) asked.push_back({{"user", std::string(static_cast<std::size_t>(7 * i + 1), 'x')}});
  const auto fresh = fixtures::load("grouped"), used = fixtures::load("grouped");
  fresh->freeze();
  used->freeze();
  used->mean_hidden({asked[1], asked[4], asked[5]});
  used->mean_hidden({asked[8]});
  const at::Tensor wanted = fresh->mean_hidden(asked);
  EXPECT_TRUE(used->mean_hidden(asked).equal(wanted));
  EXPECT_TRUE(used->mean_hidden(asked).equal(wanted)) << "remembered";
}

TEST_F(Training, FrozenWeightsCannotBeChanged) {
  const auto model = fixtures::load("grouped");
  model->freeze();
  EXPECT_DEATH(model->trainable(), testing::HasSubstr("internal check failed"));
  EXPECT_DEATH(model->decoder(), testing::HasSubstr("internal check failed"));
  EXPECT_DEATH(model->set_weight("model.norm.weight", at::zeros({32})), testing::HasSubstr("internal check failed"));
  EXPECT_FALSE(model->copy()->trainable().empty());
}

// The last step's gradient too, after which no loss would show it.
TEST_F(Training, AGradientThatIsNotFiniteIsNoStep) {
  for (const double clip_norm : {1.0, 0.0}) {
    const auto model = fixtures::load("grouped");
    StepStage stage([](Trainer& trainer) {
      const double loss = trainer.backward(trainer.rows().next());
      if (trainer.step() + 1 == trainer.total_steps()) trainer.parameters().back().grad().fill_(INFINITY);
      return loss;
    });
    TrainingRun run;
    run.members = {{"a stage", &stage}};
    TrainingOptions options;
    options.batch_size = 1;
    options.clip_norm = clip_norm;
    EXPECT_THAT(message_of([&] { train(*model, data_, options, run); }),
                testing::HasSubstr("the gradient of step " + std::to_string(data_.size()) + " is not finite"));
  }
}

TEST_F(Training, WeightsThatAreNotFiniteAreNoResult) {
  const auto model = fixtures::load("grouped");
  TrainingOptions options;
  options.lr = 1e39;
  options.batch_size = 8;  // one step
  EXPECT_THAT(message_of([&] { train(*model, data_, options, {}); }),
              testing::HasSubstr("after step 1 a weight is not finite"));
}

TEST_F(Training, Float16IsNotTrained) {
  const auto grouped = fixtures::load("grouped");
  NamedTensors halves;
  for (const auto& [name, weight] : grouped->decoder().weights()) halves[name] = weight.to(at::kHalf);
  const auto decoder = std::make_shared<Decoder>(grouped->decoder().config(), halves, "halves");
  LanguageModel model(decoder, nullptr, nullptr, {}, {});
  EXPECT_THAT(message_of([&] { train(model, data_, {}, {}); }), testing::HasSubstr("float16"));
}

TEST_F(Training, ShufflesByTheOrderSeed) {
  TrainingOptions options;
  options.batch_size = 1;
  options.lr = 0;
  const auto losses = [&](bool shuffle, std::uint64_t seed) {
    options.shuffle = shuffle;
    TrainingRun one;
    one.order_seed = seed;
    std::vector<double> losses;
    for (const auto& record : run(options, one)) losses.push_back(record.loss);
    return losses;
  };
  const auto plain = losses(false, 1);
  EXPECT_EQ(losses(true, 1), losses(true, 1));
  EXPECT_NE(losses(true, 1), losses(true, 2));
  EXPECT_NE(losses(true, 1), plain);
  EXPECT_THAT(losses(true, 1), testing::UnorderedElementsAreArray(plain));
}

TEST_F(Training, LoraTrainsTheFactorsOnly) {
  const auto start = model_->copy();
  TrainingOptions options;
  options.method = "lora";
  options.lr = 1e-2;
  options.epochs = 4;
  options.lora_rank = 4;
  options.lora_targets = {"q_proj", "up_proj"};
  const auto records = run(options);
  EXPECT_LT(records.back().loss, records.front().loss - 0.3);
  EXPECT_EQ(model_->decoder().adapters().size(), 4u);
  for (const auto& [name, weight] : start->decoder().weights()) {
    EXPECT_TRUE(at::equal(weight, model_->decoder().weights().at(name))) << name;
  }
  const Conversation& messages = data_[0].messages;
  const at::Tensor adapted = fixtures::log_probs(*model_, messages);
  EXPECT_GT(distance(adapted, fixtures::log_probs(*start, messages)), 0.05);
  model_->decoder().merge_adapters();
  EXPECT_LT(distance(adapted, fixtures::log_probs(*model_, messages)), 2e-5);
}

TEST_F(Training, LeavesOutRowsWithoutALabel) {
  const std::size_t rows = data_.size();
  data_.push_back({{{"user", "no answer"}}, {}});
  TrainingOptions options;
  options.batch_size = 1;
  EXPECT_EQ(run(options).size(), rows);
  options.max_length = 4;  // cuts every answer away
  EXPECT_THAT(
      message_of([&] { run(options); }),
      testing::AllOf(testing::StartsWith("there is nothing to learn: 8 of 8 rows are longer than max_length (4 tokens)"),
                     testing::HasSubstr("7 of 8 rows have all that is to be learned beyond max_length"),
                     testing::HasSubstr("1 of 8 rows have no reply to learn")));
}

TEST_F(Training, CountsWhatIsCutAndWhatTeachesNothingByReason) {
  data_ = {data_[0], data_[0], data_[0]};
  data_[1].messages.back().learned = false;
  data_[2].messages.back().content += " and so on and so on and so on and so on";
  const auto length = static_cast<std::int64_t>(model_->encode(data_[0].messages).ids.size());
  TrainingOptions options;
  options.max_length = length;
  TrainingRun counted;
  EncodedRows seen;
  counted.on_rows = [&](const EncodedRows& rows) { seen = rows; };
  run(options, counted);
  EXPECT_EQ(seen.rows.size(), 3U);
  EXPECT_EQ(seen.cut, 1);
  EXPECT_EQ(seen.cut_bare, 0);
  EXPECT_EQ(seen.unanswered, 1);
  EXPECT_EQ(seen.left_out(), 1);
  EXPECT_THAT(remarks(seen, length), testing::ElementsAre(testing::StartsWith("1 of 3 rows are longer than max_length"),
                                                          testing::StartsWith("1 of 3 rows have no reply to learn")));
}

// A template that refuses every conversation of two turns in a row by one speaker.
class Refusing final : public fakes::FakeModel {
 public:
  Encoded encode(const Conversation& conversation, std::int64_t) const override {
    if (conversation.size() > 1 && conversation[0].role == conversation[1].role) throw Error("the roles have to take turns");
    return {{1, 2}, {false, true}};
  }
};

TEST(EncodeRows, NameTheRowThatTheTemplateRefuses) {
  const Example good = {{{"user", "q"}, {"assistant", "a"}}}, bad = {{{"user", "q"}, {"user", "q"}}};
  Example named = bad;
  named.origin = "rows.jsonl:37";
  EXPECT_EQ(message_of([&] { encode_rows(Refusing(), {good, named}, 0); }), "rows.jsonl:37: the roles have to take turns");
  EXPECT_EQ(message_of([&] { encode_rows(Refusing(), {good, bad}, 0); }), "row 2: the roles have to take turns");
}

TEST_F(Training, ReportsWhatCannotBeTrained) {
  TrainingOptions options;
  options.lr = 1e15;
  options.batch_size = 1;
  EXPECT_EQ(message_of([&] { run(options); }), "training diverged: the loss of step 2 is not finite; lower lr");
  model_ = fixtures::load("grouped");
  options = {};
  options.method = "lora";
  options.lora_targets = {"q_prj"};
  EXPECT_THAT(message_of([&] { run(options); }),
              testing::AllOf(testing::HasSubstr("lora_targets names \"q_prj\", which is no linear of a block."),
                             testing::HasSubstr("q_proj")));
  options = {};
  options.method = "prefix";
  EXPECT_EQ(message_of([&] { run(options); }), "the training option \"method\" is \"prefix\", expected \"full\" or \"lora\"");
  options = {};
  options.schedule = "square";
  EXPECT_EQ(message_of([&] { run(options); }),
            "the training option \"schedule\" is \"square\", expected \"constant\", \"linear\", \"cosine\" or \"step\"");
  options = {};
  options.batch_size = 0;
  EXPECT_EQ(message_of([&] { run(options); }), "the training option \"batch_size\" is 0, expected an integer of at least 1");
}

}  // namespace
}  // namespace holdfast
