// T-Vaccine against its rule: in float64 on a decoder in the training loop, against the decoder written down once more with the
// layers drawn anew; and against Vaccine, to the bit, where all layers are drawn.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <set>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::relative_distance;
using fixtures::stage_with;

// The layer that a weight belongs to; -1 for those of none.
int layer_of(const std::string& name) {
  for (const int layer : {0, 1}) {
    if (name.find(".layers." + std::to_string(layer) + ".") != std::string::npos) return layer;
  }
  return -1;
}

class TVaccineRule : public testing::Test {
 protected:
  enum class Variant { kTVaccine, kNormOverAllLayers, kDownhill };

  TVaccineRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].resize(1);
  }

  fixtures::TrainerGradients made(const Json& settings, std::int64_t micro_batch_size = 0) {
    const DefenseStages stages = make_defense("t-vaccine", settings);
    TrainingOptions options;
    options.micro_batch_size = micro_batch_size;
    return fixtures::trainer_gradients(*model_, data_, options, *stages.align, &context_);
  }

  // d loss / d (attention output) of each layer.
  Tensors gradients_at_attention(const Dataset& rows) {
    std::int64_t tokens = 0;
    for (const auto& row : fixtures::encoded(*model_, rows)) tokens += static_cast<std::int64_t>(row.ids.size());
    Tensors offsets;
    for (std::int64_t l = 0; l < 2; ++l) {
      offsets.push_back(at::zeros({tokens, model_->width()}, at::kDouble).set_requires_grad(true));
    }
    const fixtures::ReferenceDecoder decoder(model_->decoder());
    return torch::autograd::grad({fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows), offsets)}, offsets);
  }

  // The chance of layer 0 when one is drawn.
  double chance_of_the_first() {
    const Tensors gradients = gradients_at_attention(context_.corpora.at("defender-harmful"));
    const double first = gradients[0].norm().item<double>(), second = gradients[1].norm().item<double>();
    return first / (first + second);
  }
  int drawn_at(std::int64_t step) {
    Random random(derive_seed(context_.seed("layers"), "step " + std::to_string(step)));
    return random.uniform() < chance_of_the_first() ? 0 : 1;
  }

  Tensors perturbation(int drawn, double rho, Variant variant = Variant::kTVaccine) {
    Tensors offsets = gradients_at_attention(data_);
    double length = offsets[static_cast<std::size_t>(drawn)].norm().item<double>();
    if (variant == Variant::kNormOverAllLayers) length = norm(offsets);
    for (std::size_t l = 0; l < offsets.size(); ++l) {
      const double sign = variant == Variant::kDownhill ? -1 : 1;
      offsets[l] = offsets[l] * (static_cast<int>(l) == drawn ? sign * rho / (length + 1e-7) : 0);
    }
    return offsets;
  }
  Named gradient(const Tensors& offsets) {
    return fixtures::reference_gradients(*model_, fixtures::values_of(*model_),
                                         [&](const fixtures::ReferenceDecoder& decoder, const Named&) {
                                           return fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_), offsets);
                                         });
  }
  double loss(const Tensors& offsets) {
    const c10::NoGradGuard no_grad;
    const fixtures::ReferenceDecoder decoder(model_->decoder());
    return fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_), offsets).item<double>();
  }

  // What is not zero of a step's gradients: of which layers, of their attention and of the rest.
  static std::pair<std::set<int>, std::set<int>> trained(const Named& gradients) {
    std::set<int> attention, rest;
    for (const auto& [name, each] : gradients) {
      if (each.abs().max().item<double>() == 0) continue;
      (name.find("self_attn") != std::string::npos ? attention : rest).insert(layer_of(name));
    }
    return {attention, rest};
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(TVaccineRule, DescendsTheLossPerturbedInTheDrawnLayerAndFreezesTheOther) {
  std::set<int> seen;
  for (context_.cell_seed = 1; seen.size() < 2; ++context_.cell_seed) {
    ASSERT_LT(context_.cell_seed, 40U);
    const int drawn = drawn_at(0);
    if (!seen.insert(drawn).second) continue;
    const auto step = made({{"layers", 1}, {"rho", 2}});
    const Tensors offsets = perturbation(drawn, 2);
    EXPECT_NEAR(norm(offsets), 2, 1e-5);
    EXPECT_NEAR(step.loss, loss(offsets), 1e-10);
    for (const auto& [name, expected] : gradient(offsets)) {
      const bool is_frozen = layer_of(name) == 1 - drawn;
      const at::Tensor wanted = is_frozen ? at::zeros_like(expected) : expected;
      EXPECT_LT(fixtures::distance(step.gradients.at(name), wanted), 1e-10) << name;
    }
    for (const auto variant : {Variant::kNormOverAllLayers, Variant::kDownhill}) {
      EXPECT_GT(std::abs(step.loss - loss(perturbation(drawn, 2, variant))), 1e-3) << static_cast<int>(variant);
    }
  }
}

TEST_F(TVaccineRule, FreezesWholeLayersOrTheirAttention) {
  const int drawn = drawn_at(0);
  const auto [attention, rest] = trained(made({{"layers", 1}}).gradients);
  EXPECT_EQ(attention, std::set<int>{drawn});
  EXPECT_EQ(rest, (std::set<int>{-1, drawn}));
  const auto [attention_alone, others] = trained(made({{"layers", 1}, {"frozen", "attention"}}).gradients);
  EXPECT_EQ(attention_alone, std::set<int>{drawn});
  EXPECT_EQ(others, (std::set<int>{-1, 0, 1}));
}

TEST_F(TVaccineRule, WithoutAPerturbationAndWithAllLayersItIsPlainAlignment) {
  const auto plain = fixtures::trainer_gradients(*model_, data_, {});
  EXPECT_LT(relative_distance(made({{"layers", 0}, {"rho", 0}}).gradients, plain.gradients), 1e-12);
  EXPECT_GT(relative_distance(made({{"layers", 0}, {"rho", 1}}).gradients, plain.gradients), 1e-2);
  EXPECT_GT(relative_distance(made({{"layers", 1}, {"rho", 0}}).gradients, plain.gradients), 1e-2);
}

// Steps without a movement of the weights: the layers trained in each, and the tokens that each took.
struct Followed {
  std::vector<int> layers;
  std::vector<std::int64_t> tokens;
};

class Follower final : public TrainingStage {
 public:
  Follower(TrainingStage& stage, Followed& followed) : stage_(stage), followed_(followed) {}
  void begin(Trainer& trainer) override { stage_.begin(trainer); }
  double step(Trainer& trainer) override {
    const double loss = stage_.step(trainer);
    for (std::size_t i = 0; i < trainer.names().size(); ++i) {
      if (trainer.names()[i] != "model.layers.0.self_attn.q_proj.weight") continue;
      followed_.layers.push_back(trainer.parameters()[i].grad().defined() ? 0 : 1);
    }
    return loss;
  }

 private:
  TrainingStage& stage_;
  Followed& followed_;
};

class TVaccineSteps : public TVaccineRule {
 protected:
  Followed steps(const Json& settings, std::int64_t count, double lr = 0) {
    const DefenseStages stages = make_defense("t-vaccine", settings);
    Followed followed;
    Follower follower(*stages.align, followed);
    TrainingOptions options;
    options.lr = lr;
    options.weight_decay = 0.1;
    options.epochs = count;
    options.batch_size = 1;
    TrainingRun run;
    run.members = {{"t-vaccine", &follower}};
    run.context = &context_;
    run.on_step = [&](const StepRecord& record) { followed.tokens.push_back(record.tokens); };
    train(*model_, {data_.front()}, options, run);
    return followed;
  }
};

TEST_F(TVaccineSteps, DrawsByTheSharesOfAHarmfulRowsGradient) {
  constexpr std::int64_t kSteps = 400;
  const double chance = chance_of_the_first();
  const auto layers = steps({{"layers", 1}, {"draw_every", 1}}, kSteps).layers;
  ASSERT_EQ(static_cast<std::int64_t>(layers.size()), kSteps);
  for (const std::int64_t step : {0, 1, 57, 399}) EXPECT_EQ(layers[static_cast<std::size_t>(step)], drawn_at(step)) << step;
  const double share = static_cast<double>(std::count(layers.begin(), layers.end(), 0)) / kSteps;
  EXPECT_NEAR(share, chance, 3.5 * std::sqrt(chance * (1 - chance) / kSteps));
  EXPECT_GT(std::abs(chance - 0.5), 4 * std::sqrt(0.25 / kSteps)) << "this row would not tell a uniform draw";
}

TEST_F(TVaccineSteps, DrawsEveryJAndLooksEveryKSteps) {
  const auto followed = steps({{"layers", 1}, {"draw_every", 3}, {"measure_every", 4}}, 24);
  for (std::int64_t step = 0; step < 24; ++step) {
    EXPECT_EQ(followed.layers[static_cast<std::size_t>(step)], drawn_at(step - step % 3)) << step;
    const bool looks = followed.tokens[static_cast<std::size_t>(step)] > followed.tokens[1];
    EXPECT_EQ(looks, step % 4 == 0) << step;
  }
}

TEST_F(TVaccineSteps, TheOptimizerLeavesAFrozenLayerAlone) {
  const Named start = fixtures::values_of(*model_);
  const int drawn = steps({{"layers", 1}}, 2, 1e-2).layers.front();
  for (const auto& [name, value] : fixtures::values_of(*model_)) {
    EXPECT_EQ(at::equal(value, start.at(name)), layer_of(name) == 1 - drawn) << name;
  }
}

class TVaccine : public testing::Test {
 protected:
  TVaccine() { context_.corpora["defender-harmful"] = fixtures::placeholder_rows(); }
  std::string outcome(const Json& settings) {
    const DefenseStages stages = make_defense("t-vaccine", settings);
    try {
      const auto model = fixtures::load("grouped");
      fixtures::trainer_gradients(*model, fixtures::trained_rows(), {}, *stages.align, &context_);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }
  fakes::FakeContext context_;
};

TEST_F(TVaccine, WithAllLayersIsVaccineToTheBit) {
  for (const char* method : {"full", "lora"}) {
    const auto vaccine =
        fixtures::WholeTrainings(stage_with("vaccine", {{"rho", 3}}), context_, method, "float32").undisturbed();
    for (const Json& settings : {Json{{"layers", 0}}, Json{{"layers", 2}, {"draw_every", 2}, {"measure_every", 3}}}) {
      const auto targeted =
          fixtures::WholeTrainings(stage_with("t-vaccine", settings), context_, method, "float32").undisturbed();
      EXPECT_TRUE(fixtures::same_bits(targeted, vaccine)) << method << " " << settings;
    }
    const auto one =
        fixtures::WholeTrainings(stage_with("t-vaccine", {{"layers", 1}}), context_, method, "float32").undisturbed();
    EXPECT_FALSE(fixtures::same_bits(one, vaccine)) << method;
  }
}

TEST_F(TVaccine, AKilledTrainingEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(
      stage_with("t-vaccine", {{"layers", 1}, {"draw_every", 3}, {"measure_every", 4}, {"rows", 4}}), context_);
}

TEST_F(TVaccine, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(stage_with("t-vaccine", {{"layers", 1}, {"draw_every", 2}, {"rho", 1}}), context_, 0.05,
                                        0.98);
}

TEST_F(TVaccine, CountsItsRowsAndSaysWhatItCannotDraw) {
  EXPECT_EQ(outcome({{"layers", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"layers", 1}, {"rows", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(outcome({{"layers", 1}, {"rows", 6}}),
            "t-vaccine was asked for 6 rows and the corpus \"defender-harmful\" has 5: lower \"rows\"");
  EXPECT_EQ(outcome(Json::object()), "t-vaccine was asked to draw 8 layers and the model has 2: lower \"layers\"");
}

TEST(TVaccinePresets, AreThoseOfPaperAndCode) {
  std::map<std::string, Json> expected = {
      {"rho", 3.0}, {"layers", 8}, {"draw_every", 20}, {"measure_every", 200}, {"frozen", "layers"}};
  EXPECT_PRESET("t-vaccine", "paper", expected);
  expected["frozen"] = "attention";
  EXPECT_PRESET("t-vaccine", "repo", expected);
}

TEST_F(TVaccine, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"rho", -1}, {"frozen", "none"}, {"draw_every", 0}, {"measure_every", 0}});
  Params params(settings.state);
  shipped("t-vaccine").make_defense(params);
  for (const auto* name : {"rho", "frozen", "draw_every", "measure_every"}) {
    EXPECT_THAT(settings.mistakes(), testing::HasSubstr(name));
  }
}

}  // namespace
}  // namespace holdfast
