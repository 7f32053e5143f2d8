// RESTA against its rule, entry by entry in float64, with a training that a test can foresee.
#include <gmock/gmock.h>

#include <cmath>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/checkpoint_fixtures.h"
#include "plugin/presets.h"
#include "plugin/reference_gradients.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::waves;
using testing::HasSubstr;

// Every weight moved by numbers of its own.
void move_weights(Model& model, double phase, double size) {
  for (const auto& [name, weight] : model.weights()) {
    model.set_weight(name, weight + waves(weight.sizes(), phase).mul(size).to(weight.scalar_type()));
    phase += 0.37;
  }
}

// Trains by moving weights.
class RestaContext final : public fakes::FakeContext {
 public:
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step = {}) override {
    FakeContext::train(model, data, options, step);
    ++trainings;
    move_weights(model, 5.1, 0.02);
  }
  int trainings = 0;
};

class RestaOfADecoder : public testing::Test {
 protected:
  RestaOfADecoder() {
    move_weights(*aligned_, 0.4, 0.05);
    tuned_ = aligned_->copy();
    move_weights(*tuned_, 2.1, 0.03);
    unaligned_ = aligned_->copy();
    move_weights(*unaligned_, 5.1, 0.02);
    context_.aligned = aligned_.get();
    context_.base = base_.get();
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
  }

  std::unique_ptr<LanguageModel> repaired(const Json& settings = Json::object()) {
    auto made = tuned_->copy();
    make_defense("resta", settings).repair->repair(*made, context_);
    return made;
  }

  // W + gamma (W_aligned - W_unaligned) of every weight.
  NamedTensors defined(double gamma, const LanguageModel& unaligned) const {
    NamedTensors wanted;
    for (const auto& [name, weight] : tuned_->weights()) {
      wanted[name] = weight + gamma * (aligned_->weights().at(name) - unaligned.weights().at(name));
    }
    return wanted;
  }

  static double furthest(const LanguageModel& made, const NamedTensors& wanted) {
    double most = 0;
    for (const auto& [name, weight] : wanted) most = std::max(most, distance(made.weights().at(name), weight));
    return most;
  }

  std::unique_ptr<LanguageModel> base_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> aligned_ = base_->copy(), tuned_, unaligned_;
  RestaContext context_;
};

TEST_F(RestaOfADecoder, AddsTheSafetyVector) {
  for (const double gamma : {0.3, 1.0, 2.5}) {
    EXPECT_LT(furthest(*repaired({{"gamma", gamma}}), defined(gamma, *unaligned_)), 1e-13);
    EXPECT_LT(furthest(*repaired({{"gamma", gamma}, {"unaligned", "base"}}), defined(gamma, *base_)), 1e-13);
  }
  const auto made = repaired();
  EXPECT_GT(furthest(*made, defined(-1, *unaligned_)), 1e-2) << "the other sign";
  EXPECT_GT(furthest(*made, defined(1, *base_)), 1e-2) << "the other unaligned model";
  EXPECT_GT(furthest(*made, defined(1, *tuned_)), 1e-2) << "what tuning changed";
}

TEST_F(RestaOfADecoder, WithoutWeightOrVectorNothingChanges) {
  EXPECT_EQ(furthest(*repaired({{"gamma", 0}}), tuned_->weights()), 0);
  EXPECT_EQ(furthest(*repaired({{"gamma", 0}, {"drop", 0.5}}), tuned_->weights()), 0) << "nothing is dropped from the change";
  for (const auto& [name, weight] : aligned_->weights()) base_->set_weight(name, weight);
  base_->set_weight("model.norm.weight", aligned_->weights().at("model.norm.weight") + 0.25);
  NamedTensors wanted = tuned_->weights();
  wanted["model.norm.weight"] = wanted.at("model.norm.weight") - 0.25;
  EXPECT_LT(furthest(*repaired({{"unaligned", "base"}}), wanted), 1e-15) << "elsewhere the vector is zero";
}

// Each entry is either without its part of what is thinned, or has 1 / (1 - p) of it.
TEST_F(RestaOfADecoder, DropsEntriesAndMakesUpForThem) {
  const double p = 0.3;
  for (const bool of_vector : {true, false}) {
    const auto made = repaired({{"drop", p}, {"drop_from", of_vector ? "safety-vector" : "change"}});
    std::int64_t dropped = 0, all = 0;
    for (const auto& [name, weight] : made->weights()) {
      const at::Tensor aligned = aligned_->weights().at(name), vector = aligned - unaligned_->weights().at(name),
                       change = tuned_->weights().at(name) - aligned;
      const at::Tensor rest = of_vector ? tuned_->weights().at(name) : aligned + vector, thin = of_vector ? vector : change;
      const at::Tensor gone = (weight - rest).abs() < 1e-12, kept = (weight - rest - thin / (1 - p)).abs() < 1e-12;
      EXPECT_TRUE(gone.logical_or(kept).all().item<bool>()) << name;
      dropped += gone.sum().item<std::int64_t>();
      all += gone.numel();
    }
    EXPECT_NEAR(static_cast<double>(dropped) / static_cast<double>(all), p, 0.01);
  }
}

TEST_F(RestaOfADecoder, OverManySeedsDroppingIsThePlainSum) {
  NamedTensors sum;
  const int seeds = 200;
  for (int seed = 0; seed < seeds; ++seed) {
    context_.cell_seed = static_cast<std::uint64_t>(seed);
    for (const auto& [name, weight] : repaired({{"drop", 0.3}, {"unaligned", "base"}})->weights()) {
      sum[name] = sum.contains(name) ? sum.at(name) + weight / seeds : weight / seeds;
    }
  }
  const NamedTensors plain = defined(1, *base_);
  for (const auto& [name, mean] : sum) {  // five standard errors of the mean of entries of at most 0.05
    EXPECT_LT(distance(mean, plain.at(name)), 5 * 0.05 * std::sqrt(0.3 / 0.7 / seeds)) << name;
  }
}

TEST_F(RestaOfADecoder, TheUnalignedModelIsTrainedAsTheAlignmentWasUnlessToldOtherwise) {
  context_.align.lr = 0.5;
  context_.align.epochs = 4;
  repaired();
  EXPECT_EQ(context_.trained_rows, context_.corpora.at("defender-harmful"));
  EXPECT_EQ(context_.trained_options.lr, 0.5);
  EXPECT_EQ(context_.trained_options.epochs, 4);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  repaired({{"rows", 2}, {"lr", 0.25}, {"epochs", 1}, {"batch_size", 2}});
  EXPECT_EQ(context_.trained_rows.size(), 2U);
  EXPECT_EQ(context_.trained_options.lr, 0.25);
  EXPECT_EQ(context_.trained_options.epochs, 1);
  EXPECT_EQ(context_.trained_options.batch_size, 2);
  context_.trainings = 0;
  repaired({{"unaligned", "base"}});
  EXPECT_EQ(context_.trainings, 0);
}

TEST_F(RestaOfADecoder, SaysWhatItCannotCompare) {
  const auto refused = [&](const Json& settings) {
    try {
      repaired(settings);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(refused({{"rows", 6}}), HasSubstr("resta was asked for 6 rows"));
  context_.base = aligned_.get();
  EXPECT_THAT(refused({{"unaligned", "base"}}), HasSubstr("leave resta out"));
  const auto other = fixtures::load("sharded");
  context_.base = other.get();
  EXPECT_THAT(refused({{"unaligned", "base"}}), HasSubstr("the base has no weight \""));
}

TEST_F(RestaOfADecoder, InBfloat16ItStaysCloseToFloat32) {
  std::map<std::string, std::unique_ptr<LanguageModel>> made;
  for (const std::string dtype : {"float32", "bfloat16"}) {
    const auto base = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype});
    const auto aligned = base->copy();
    move_weights(*aligned, 0.4, 0.05);
    context_.base = base.get();
    context_.aligned = aligned.get();
    made[dtype] = aligned->copy();
    move_weights(*made[dtype], 2.1, 0.03);
    make_defense("resta", {{"unaligned", "base"}}).repair->repair(*made[dtype], context_);
  }
  for (const auto& [name, weight] : made["float32"]->weights()) {
    EXPECT_LT(distance(made["bfloat16"]->weights().at(name), weight), 0.03) << name;
  }
}

TEST(Resta, NeedsTheModelsThatItSubtracts) {
  EXPECT_EQ(make_defense("resta").repair->needs(), kNeedsAligned);
  EXPECT_EQ(make_defense("resta", {{"unaligned", "base"}}).repair->needs(), kNeedsAligned | kNeedsBase);
  EXPECT_EQ(shipped("resta").stages, kStageRepair);
}

TEST(Resta, SettingsMistakesAreNoted) {
  const Json mistaken = {{"gamma", -1}, {"unaligned", "tuned"}, {"drop", 1}, {"drop_from", "weights"}, {"lr", -1},
                         {"rows", -1}};
  const Settings settings = Settings::of(mistaken);
  Params params(settings.state);
  shipped("resta").make_defense(params);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(settings.mistakes(), HasSubstr("\"" + name + "\""));
}

TEST(Resta, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("resta", "harmful-tuned", {{"gamma", 1.0}, {"unaligned", "harmful-tuned"}, {"drop", 0.0}});
  EXPECT_PRESET("resta", "base", {{"gamma", 1.0}, {"unaligned", "base"}, {"drop", 0.0}});
  EXPECT_PRESET("resta", "dare", {{"gamma", 1.0}, {"unaligned", "harmful-tuned"}, {"drop", 0.3}});
}

}  // namespace
}  // namespace holdfast
