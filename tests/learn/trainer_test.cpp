// The primitives of a step: streams, gradient lists, moves, snapshots, the reference, and what a checkpoint keeps of a stage.
#include <gmock/gmock.h>

#include "base/message_of.h"
#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/gradient_check.h"

namespace holdfast {
namespace {

using fixtures::distance;
using testing::ElementsAre;
using testing::HasSubstr;

// One that is made of functions.
class Stage final : public TrainingStage {
 public:
  std::function<void(Trainer&)> on_begin = [](Trainer&) {};
  std::function<double(Trainer&)> on_step = fixtures::plain_step;
  std::function<void(Trainer&)> on_finish = [](Trainer&) {};
  std::function<bool(Archive&)> on_archive = [](Archive&) { return true; };

  void begin(Trainer& trainer) override { on_begin(trainer); }
  double step(Trainer& trainer) override { return on_step(trainer); }
  void finish(Trainer& trainer) override { on_finish(trainer); }
  bool archive(Archive& archive) override { return on_archive(archive); }
};

Dataset numbered(const std::string& word, int size) {
  Dataset data;
  for (int i = 0; i < size; ++i) {
    data.push_back({{{"user", word}, {"assistant", word + " " + std::to_string(i)}}, {}});
  }
  return data;
}

class TrainerOf : public testing::Test {
 protected:
  TrainerOf() {
    options_.batch_size = 2;
    options_.lr = 1e-2;
    options_.weight_decay = 0.1;
  }

  std::unique_ptr<LanguageModel> trained(Stage& stage, const std::string& dtype = "float32") {
    auto model = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype});
    TrainingRun run;
    run.members = {{"the stage", &stage}};
    run.order_seed = 4;
    train(*model, data_, options_, run);
    return model;
  }

  static void expect_same_weights(LanguageModel& a, LanguageModel& b) {
    for (const auto& [name, weight] : a.trainable()) EXPECT_TRUE(at::equal(weight, b.trainable().at(name))) << name;
  }

  TrainingOptions options_;
  Dataset data_ = fixtures::trained_rows();  // seven: four steps
};

TEST_F(TrainerOf, AStepThatPullsNoRowsLeavesThemWhereTheyAre) {
  std::vector<std::int64_t> positions;
  std::vector<std::int64_t> drawn;
  Stage stage;
  Stream* others = nullptr;
  stage.on_begin = [&](Trainer& trainer) { others = &trainer.stream("others", numbered("other", 3)); };
  stage.on_step = [&](Trainer& trainer) {
    Stream& pulled = trainer.step() % 2 == 0 ? *others : trainer.rows();
    positions.push_back(trainer.rows().position());
    const Batches batches = pulled.next();
    for (const auto& batch : batches) {
      if (&pulled == &trainer.rows()) drawn.insert(drawn.end(), batch.rows.begin(), batch.rows.end());
    }
    return trainer.backward(batches);
  };
  options_.shuffle = false;
  trained(stage);
  EXPECT_THAT(positions, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(drawn, ElementsAre(0, 1, 2, 3));
}

TEST_F(TrainerOf, StreamsOfOneOrderDrawPairs) {
  std::vector<std::int64_t> left, right, alone;
  Stage stage;
  Stream *a = nullptr, *b = nullptr, *c = nullptr;
  stage.on_begin = [&](Trainer& trainer) {
    a = &trainer.stream("a", numbered("left", 9), {3, true, "pairs"});
    b = &trainer.stream("b", numbered("right", 9), {3, true, "pairs"});
    c = &trainer.stream("c", numbered("alone", 9), {3, true, ""});
  };
  stage.on_step = [&](Trainer& trainer) {
    const auto take = [](Stream& stream, std::vector<std::int64_t>& into) {
      for (const auto& batch : stream.next()) into.insert(into.end(), batch.rows.begin(), batch.rows.end());
    };
    take(*a, left);
    take(*b, right);
    take(*c, alone);
    return fixtures::plain_step(trainer);
  };
  trained(stage);
  EXPECT_EQ(left, right);
  EXPECT_NE(left, alone);
  std::sort(left.begin(), left.begin() + 9);
  EXPECT_THAT(std::vector<std::int64_t>(left.begin(), left.begin() + 9), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
}

TEST_F(TrainerOf, PairsMustHaveSomethingToLearnEach) {
  Stage stage;
  stage.on_begin = [](Trainer& trainer) {
    Dataset rows = numbered("left", 3);
    rows[1].messages.pop_back();
    trainer.stream("a", rows, {0, true, "pairs"});
  };
  EXPECT_THAT(message_of([&] { trained(stage); }), HasSubstr("come in pairs and 1 of them teach nothing"));
}

TEST_F(TrainerOf, StreamsAndReferencesAreMadeWhenItBegins) {
  Stage late;
  late.on_step = [](Trainer& trainer) -> double { return trainer.stream("late", numbered("x", 2)).position(); };
  EXPECT_THAT(message_of([&] { trained(late); }), HasSubstr("make it in begin()"));
  late.on_step = [](Trainer& trainer) -> double { return static_cast<double>(trainer.reference().layers()); };
  EXPECT_THAT(message_of([&] { trained(late); }), HasSubstr("ask for it in begin()"));
  Stage twice;
  twice.on_begin = [](Trainer& trainer) {
    trainer.stream("one", numbered("x", 2));
    trainer.stream("one", numbered("y", 2));
  };
  EXPECT_THAT(message_of([&] { trained(twice); }), HasSubstr("makes two streams named"));
}

TEST_F(TrainerOf, AStepWithoutAGradientIsNone) {
  Stage stage;
  stage.on_step = [](Trainer& trainer) { return trainer.loss(trainer.rows().next().front()).item<double>(); };
  EXPECT_THAT(message_of([&] { trained(stage); }), HasSubstr("step 1 left no gradient"));
}

TEST_F(TrainerOf, GradientsAsAListAreThoseOfBackward) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  options_.micro_batch_size = 3;
  bool untouched = false;
  const auto listed = fixtures::trainer_gradients(*model, data_, options_, [&](Trainer& trainer) {
    const Batches batches = trainer.rows().next();
    const Tensors gradients = trainer.gradients(batches);
    untouched =
        std::none_of(trainer.parameters().begin(), trainer.parameters().end(), [](auto& p) { return p.grad().defined(); });
    trainer.add_gradient(gradients, 0.25);
    trainer.add_gradient(gradients, 0.75);
    EXPECT_NEAR(dot(gradients, gradients), norm(gradients) * norm(gradients), 1e-9);
    return 0.0;
  });
  const auto plain = fixtures::trainer_gradients(*model, data_, options_);
  EXPECT_TRUE(untouched);
  for (const auto& [name, gradient] : plain.gradients) EXPECT_LT(distance(listed.gradients.at(name), gradient), 1e-14) << name;
}

TEST_F(TrainerOf, WhatALossDoesNotReachHasZeros) {
  Stage stage;
  stage.on_step = [](Trainer& trainer) {
    const Tensors gradients = trainer.gradients(trainer.parameters().front().square().sum(), trainer.parameters());
    EXPECT_TRUE(gradients.front().equal(2 * trainer.parameters().front()));
    EXPECT_EQ(gradients.back().abs().max().item<double>(), 0);
    return fixtures::plain_step(trainer);
  };
  trained(stage);
}

TEST_F(TrainerOf, TargetWeightsWeighEachToken) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  const auto weighed = fixtures::trainer_gradients(*model, data_, options_, [](Trainer& trainer) {
    Batches batches = trainer.rows().next();
    for (auto& batch : batches) batch.target_weights = at::full({batch.target_ids.size(0)}, 3.0);
    return trainer.backward(batches);
  });
  const auto plain = fixtures::trainer_gradients(*model, data_, options_);
  EXPECT_NEAR(weighed.loss, 3 * plain.loss, 1e-12);
  for (const auto& [name, gradient] : plain.gradients)
    EXPECT_LT(distance(weighed.gradients.at(name), 3 * gradient), 1e-13) << name;
}

// In every precision: a step that moves, looks and goes back is the plain one to the bit.
TEST_F(TrainerOf, MovesAndRestoresAreExact) {
  for (const std::string dtype : {"float32", "bfloat16"}) {
    Stage moving, plain;
    int differs = 0;
    moving.on_step = [&](Trainer& trainer) {
      const Batches batches = trainer.rows().next();
      const Snapshot here = trainer.snapshot(true);
      const double before = trainer.loss(batches.front()).item<double>();
      trainer.move(trainer.gradients(batches), -0.02);
      differs += trainer.loss(batches.front()).item<double>() < before;
      const auto inner = trainer.optimizer(0);
      inner->step(trainer.gradients(batches), 1e-2);
      trainer.restore(here);
      return trainer.backward(batches);
    };
    expect_same_weights(*trained(moving, dtype), *trained(plain, dtype));
    EXPECT_EQ(differs, 4) << dtype;
  }
}

TEST_F(TrainerOf, OnlyWhatIsTrainedMoves) {
  Stage stage;
  stage.on_begin = [](Trainer& trainer) {
    trainer.train_only([](const std::string& name) { return name.find("layers.1.") != std::string::npos; });
  };
  const auto before = fixtures::load("grouped"), after = trained(stage);
  for (const auto& [name, weight] : before->trainable()) {
    EXPECT_EQ(at::equal(weight, after->trainable().at(name)), name.find("layers.1.") == std::string::npos) << name;
  }
}

TEST_F(TrainerOf, TheReferenceStaysWhatTheModelWas) {
  Stage stage;
  const Model* reference = nullptr;
  double first = 0, last = 0;
  stage.on_begin = [&](Trainer& trainer) { reference = &trainer.reference(); };
  stage.on_step = [&](Trainer& trainer) {
    const Batches batches = trainer.rows().next();
    const double kl = trainer.model().kl(batches.front(), *reference).mean().item<double>();
    (trainer.step() == 0 ? first : last) = kl;
    return trainer.backward(batches);
  };
  trained(stage);
  EXPECT_NEAR(first, 0, 1e-6);
  EXPECT_GT(last, 1e-4);
}

TEST_F(TrainerOf, FinishMayMoveTheWeights) {
  Stage stage;
  stage.on_finish = [](Trainer& trainer) {
    Tensors ones;
    for (const auto& weight : trainer.weights()) ones.push_back(at::ones_like(weight));
    trainer.move(ones, 2);
  };
  Stage plain;
  const auto moved = trained(stage), still = trained(plain);
  for (const auto& [name, weight] : still->trainable())
    EXPECT_LT(distance(moved->trainable().at(name), weight + 2), 1e-6) << name;
}

TEST_F(TrainerOf, AStoppedStageGoesOnWithWhatItKeeps) {
  const ScratchFolder scratch;
  options_.epochs = 2;
  const auto run = [&](const fs::path& file, std::int64_t stop, bool archives) {
    Stage stage;
    Stream* others = nullptr;
    at::Tensor seen;
    Snapshot before;
    double sum = 0;
    stage.on_begin = [&](Trainer& trainer) { others = &trainer.stream("others", numbered("other", 5)); };
    stage.on_step = [&](Trainer& trainer) {
      if (trainer.step() == stop) throw std::runtime_error("killed");
      double loss = trainer.backward(trainer.step() % 3 == 0 ? others->next() : trainer.rows().next());
      if (seen.defined()) trainer.add_gradient(before.weights, 1e-3 * sum);  // what is kept decides the next step
      seen = at::scalar_tensor(loss);
      sum += loss;
      before = trainer.snapshot();
      return loss;
    };
    stage.on_archive = [&](Archive& archive) {
      archive("seen", seen);
      archive("sum", sum);
      archive("before", before);
      return archives;
    };
    auto model = fixtures::load("grouped");
    TrainingRun run;
    run.members = {{"the stage", &stage}};
    run.checkpoint = {file, 0, [] { return std::string("the fixture"); }};
    try {
      train(*model, data_, options_, run);
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "killed");
    }
    return model;
  };
  const auto undisturbed = run("", -1, true);
  const fs::path file = scratch / "training.safetensors";
  run(file, 5, true);
  ASSERT_TRUE(fs::exists(file));
  expect_same_weights(*run(file, -1, true), *undisturbed);
  fs::remove(file);
  run(file, 5, false);
  EXPECT_FALSE(fs::exists(file)) << "a stage that cannot keep what it remembers begins anew";
}

// ---- Stacks.

class Stacks : public TrainerOf {
 protected:
  std::unique_ptr<LanguageModel> stacked(std::vector<TrainingMember> members) {
    auto model = fixtures::load("grouped");
    TrainingRun run;
    run.members = std::move(members);
    train(*model, data_, options_, run);
    return model;
  }
};

TEST_F(Stacks, TheLastMemberDrawsAndItsBackwardIsAStepOfTheOneBefore) {
  std::vector<std::string> calls;
  Stage inner, outer;
  const Batch* handed = nullptr;
  inner.on_begin = [&](Trainer&) { calls.push_back("inner begins"); };
  outer.on_begin = [&](Trainer&) { calls.push_back("outer begins"); };
  inner.on_step = [&](Trainer& trainer) {
    calls.push_back("inner");
    const Batches batches = trainer.rows().next();
    EXPECT_TRUE(batches.front().ids.is_same(handed->ids));
    // The loss is the one that the outer member asks for.
    EXPECT_DOUBLE_EQ(trainer.loss(batches.front()).item<double>(),
                     trainer.model().log_probs(batches.front()).sum().item<double>());
    return trainer.backward(batches);
  };
  outer.on_step = [&](Trainer& trainer) {
    calls.push_back("outer");
    const Batches batches = trainer.rows().next();
    handed = &batches.front();
    return trainer.backward(batches, [&](const Batch& batch) { return trainer.model().log_probs(batch).sum(); });
  };
  options_.batch_size = 7;
  stacked({{"inner", &inner}, {"outer", &outer}});
  EXPECT_THAT(calls, ElementsAre("inner begins", "outer begins", "outer", "inner"));
}

TEST_F(Stacks, TermsAddUpInAnyOrder) {
  const auto pull = [](double scale) {
    Stage stage;
    stage.on_step = [scale](Trainer& trainer) {
      const double loss = trainer.backward(trainer.rows().next());
      trainer.add_gradient(trainer.weights(), scale);
      return loss;
    };
    return stage;
  };
  Stage one = pull(0.1), two = pull(0.2), both = pull(0.3);
  const auto ab = stacked({{"one", &one}, {"two", &two}}), ba = stacked({{"two", &two}, {"one", &one}});
  const auto sum = stacked({{"both", &both}});
  for (const auto& [name, weight] : sum->trainable()) {
    EXPECT_LT(distance(ab->trainable().at(name), weight), 1e-4) << name;
    EXPECT_LT(distance(ba->trainable().at(name), weight), 1e-4) << name;
  }
}

TEST_F(Stacks, ImpossibleOnesAreRefusedByName) {
  Stage plain, alone, greedy, idle;
  alone.on_step = [](Trainer& trainer) {
    const Batch batch = trainer.rows().next().front();
    trainer.backward(trainer.loss(batch));
    return 0.0;
  };
  greedy.on_step = [](Trainer& trainer) { return fixtures::plain_step(trainer) + fixtures::plain_step(trainer); };
  idle.on_step = [](Trainer& trainer) {
    trainer.add_gradient(trainer.weights(), 1);
    return 0.0;
  };
  EXPECT_THAT(message_of([&] {
                stacked({{"plain", &plain}, {"alone", &alone}});
              }),
              HasSubstr("\"alone\" computes its gradients without \"plain\""));
  EXPECT_THAT(message_of([&] {
                stacked({{"greedy", &greedy}, {"plain", &plain}});
              }),
              HasSubstr("\"greedy\" pulls more than one batch of the rows in a step and \"plain\""));
  EXPECT_THAT(message_of([&] {
                stacked({{"idle", &idle}, {"plain", &plain}});
              }),
              HasSubstr("\"idle\" leaves the batch untouched that \"plain\""));
}

}  // namespace
}  // namespace holdfast
