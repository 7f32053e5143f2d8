// Frozen layers: which weights move in a training, to the bit, and that the others have the plain gradient.
#include <gmock/gmock.h>

#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::Named;
using testing::HasSubstr;

class FrozenLayers : public testing::Test {
 protected:
  fixtures::MadeTraining made(LanguageModel& model, Json settings, const std::string& method = "full") {
    const DefenseStages frozen = make_defense("frozen-layers", settings);
    TrainingOptions options;
    options.method = method;
    options.lr = 1e-2;
    options.weight_decay = 0.1;  // would move a weight that has no gradient, too
    options.epochs = 3;
    return fixtures::steps_of(model, fixtures::trained_rows(), options, *frozen.tune, context_);
  }
  static bool is_of(const std::string& name, std::int64_t layer) {
    return name.rfind("model.layers." + std::to_string(layer) + ".", 0) == 0;
  }
  static bool is_norm(const std::string& name) { return name.find("norm") != std::string::npos; }

  // Which of the trained tensors ended where they began.
  void expect_frozen(const Json& settings, const std::string& method, const std::function<bool(const std::string&)>& frozen) {
    const auto model = fixtures::load("grouped");
    const auto training = made(*model, settings, method);
    const Named after = fixtures::values_of(*model);
    int stayed = 0;
    for (const auto& [name, before] : training.steps.front().before) {
      EXPECT_EQ(at::equal(before, after.at(name)), frozen(name)) << name;
      stayed += at::equal(before, after.at(name)) ? 1 : 0;
    }
    EXPECT_GT(stayed, 0);
  }

  fixtures::WholeTrainings::MakeStage stage(std::int64_t layer) {
    return [layer] { return fixtures::training_stage(make_defense("frozen-layers", {{"first", layer}, {"last", layer}})); };
  }

  fakes::FakeContext context_;
};

TEST_F(FrozenLayers, StayToTheBit) {
  for (const char* method : {"full", "lora"}) {
    expect_frozen({{"first", 0}, {"last", 0}}, method, [](const std::string& name) { return is_of(name, 0); });
    expect_frozen({{"first", 1}, {"last", 1}}, method, [](const std::string& name) { return is_of(name, 1); });
  }
  expect_frozen({{"first", 0}, {"last", 1}}, "full", [](const std::string& name) { return is_of(name, 0) || is_of(name, 1); });
}

TEST_F(FrozenLayers, CanLeaveTheirNormsOut) {
  expect_frozen({{"first", 1}, {"last", 1}, {"norms", false}}, "full",
                [](const std::string& name) { return is_of(name, 1) && !is_norm(name); });
}

TEST_F(FrozenLayers, LeaveTheOthersThePlainGradient) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  const auto training = made(*model, {{"first", 1}, {"last", 1}});
  for (const auto& step : training.steps) {
    const Named plain = fixtures::plain_gradient(*model, step.before, fixtures::trained_rows());
    for (const auto& [name, gradient] : step.gradient) {
      const at::Tensor wanted = is_of(name, 1) ? at::zeros_like(gradient) : plain.at(name);
      EXPECT_LT(fixtures::distance(gradient, wanted), 1e-12) << name;
    }
  }
}

TEST_F(FrozenLayers, ChangeWhatATrainingMakes) {
  fixtures::WholeTrainings plain([] { return std::make_shared<StepStage>(fixtures::plain_step); }, context_, "full", "float32");
  fixtures::WholeTrainings frozen(stage(0), context_, "full", "float32");
  EXPECT_FALSE(same_bits(plain.undisturbed(), frozen.undisturbed()));
}

TEST_F(FrozenLayers, KilledEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(stage(1), context_); }

TEST_F(FrozenLayers, StayCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(stage(1), context_, 0.05, 0.98); }

TEST_F(FrozenLayers, SayWhatTheyCannotDo) {
  const auto outcome = [&](const Json& settings, const std::string& method) {
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("frozen-layers", settings).tune, context_, method);
  };
  EXPECT_EQ(outcome(Json::object(), "full"),
            "frozen-layers is to freeze layers 5 to 14, and the model has layers 0 to 1: set \"first\" and \"last\" for this "
            "model");
  EXPECT_EQ(outcome({{"first", 0}, {"last", 1}}, "lora"),
            "frozen-layers freezes layers 0 to 1, and this training trains nothing else: freeze fewer of them");
  EXPECT_EQ(outcome({{"first", 0}, {"last", 1}}, "full"), "no error");
  EXPECT_THAT(fixtures::mistakes_of("frozen-layers", {{"first", 3}, {"last", 2}}),
              HasSubstr("setting \"last\" is 2, below \"first\", which is 3: give the lower layer as first"));
  EXPECT_THAT(fixtures::mistakes_of("frozen-layers", {{"first", -1}, {"norms", 3}}),
              testing::AllOf(HasSubstr("first"), HasSubstr("norms")));
}

TEST_F(FrozenLayers, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("frozen-layers", "port", {{"first", 5}, {"last", 14}, {"norms", false}});
}

}  // namespace
}  // namespace holdfast
