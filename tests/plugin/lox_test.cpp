// LoX against its rule: whole alignments in float64, and the best approximation of a change from the eigenvectors of its
// square.
#include <gmock/gmock.h>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::stage_with;
using testing::HasSubstr;

enum class WrongLox { kNothing, kSmallest, kFromTheAligned, kWithoutEmbedding };

// D_k = D V V^T, V the k leading eigenvectors of D^T D.
at::Tensor approximation(const at::Tensor& change, std::int64_t k, WrongLox wrong = WrongLox::kNothing) {
  if (k == 0 || k >= std::min(change.size(0), change.size(1))) return change;
  const auto vectors = std::get<1>(at::linalg_eigh(change.t().matmul(change)));  // ascending
  const at::Tensor v = vectors.narrow(1, wrong == WrongLox::kSmallest ? 0 : vectors.size(1) - k, k);
  return change.matmul(v).matmul(v.t());
}

// Moves the weights where a test wants the alignment to have ended.
class EndsAt final : public TrainingStage {
 public:
  explicit EndsAt(std::map<std::string, at::Tensor> changes) : changes_(std::move(changes)) {}
  void finish(Trainer& trainer) override {
    Tensors by;
    for (std::size_t i = 0; i < trainer.names().size(); ++i) {
      const auto change = changes_.find(trainer.names()[i]);
      by.push_back(change == changes_.end() ? at::zeros_like(trainer.weights()[i]) : change->second);
    }
    trainer.move(by, 1);
  }

 private:
  std::map<std::string, at::Tensor> changes_;
};

std::unique_ptr<LanguageModel> aligned(const LanguageModel& base, const std::vector<TrainingStage*>& stages,
                                       const std::string& method = "full") {
  auto model = base.copy();
  TrainingOptions options;
  options.method = method;
  options.lr = 1e-2;
  options.epochs = 2;
  options.batch_size = 3;
  options.lora_rank = 3;
  TrainingRun run;
  for (TrainingStage* stage : stages) run.members.push_back({"the stage", stage});
  fakes::FakeContext context;
  run.context = &context;
  train(*model, fixtures::trained_rows(), options, run);
  return model;
}

class LoxOfADecoder : public testing::Test {
 protected:
  std::unique_ptr<LanguageModel> extrapolated(const Json& settings, const std::string& method = "full",
                                              TrainingStage* before = nullptr) {
    const DefenseStages lox = make_defense("lox", settings);
    std::vector<TrainingStage*> stages = {lox.align};
    if (before != nullptr) stages.insert(stages.begin(), before);
    return aligned(*base_, stages, method);
  }

  // W_aligned + coef D_k of every matrix.
  NamedTensors defined(const LanguageModel& aligned, std::int64_t k, double coef, WrongLox wrong = WrongLox::kNothing) const {
    NamedTensors wanted;
    for (const auto& [name, weight] : aligned.weights()) {
      wanted[name] = weight;
      if (weight.dim() != 2) continue;
      if (wrong == WrongLox::kWithoutEmbedding && name == "model.embed_tokens.weight") continue;
      const at::Tensor change = wrong == WrongLox::kFromTheAligned ? weight : weight - base_->weights().at(name);
      wanted[name] = weight + coef * approximation(change, k, wrong);
    }
    return wanted;
  }

  static double furthest(const LanguageModel& made, const NamedTensors& wanted) {
    double most = 0;
    for (const auto& [name, weight] : wanted) most = std::max(most, distance(made.weights().at(name), weight));
    return most;
  }

  std::unique_ptr<LanguageModel> base_ = fixtures::in_float64(fixtures::load("grouped"));
};

TEST_F(LoxOfADecoder, EveryMatrixMovesAlongItsChange) {
  for (const std::string method : {"full", "lora"}) {
    const auto plain = aligned(*base_, {}, method);
    for (const auto& [k, coef] : {std::pair{0, 1.0}, {1, 0.5}, {2, 1.0}, {3, 2.0}, {1000, 0.7}}) {
      const auto made = extrapolated({{"k", k}, {"coef", coef}}, method);
      EXPECT_LT(furthest(*made, defined(*plain, k, coef)), 1e-11) << method << " " << k;
      EXPECT_GT(furthest(*made, plain->weights()), 1e-3) << method << " " << k;
    }
  }
}

TEST_F(LoxOfADecoder, IsNoVariantOfIt) {
  const auto plain = aligned(*base_, {});
  const auto made = extrapolated({{"k", 2}});
  for (const auto wrong : {WrongLox::kSmallest, WrongLox::kFromTheAligned, WrongLox::kWithoutEmbedding}) {
    EXPECT_GT(furthest(*made, defined(*plain, 2, 1, wrong)), 1e-3) << static_cast<int>(wrong);
  }
  EXPECT_GT(furthest(*made, defined(*plain, 0, 1)), 1e-3) << "all of the change";
}

TEST_F(LoxOfADecoder, OfADiagonalChangeTheLargestEntriesGrow) {
  const std::string name = "model.layers.1.self_attn.o_proj.weight";
  const auto plain = aligned(*base_, {});
  at::Tensor wanted = at::zeros_like(base_->weights().at(name));
  for (int i = 0; i < 6; ++i) wanted[i][i] = (i % 2 == 0 ? 1 : -1) * (1.0 + 0.5 * (i * 5 % 6));
  // What training did there is taken back first.
  EndsAt diagonal({{name, base_->weights().at(name) - plain->weights().at(name) + wanted}});
  const at::Tensor change = extrapolated({{"k", 2}}, "full", &diagonal)->weights().at(name) - base_->weights().at(name);
  at::Tensor grown = wanted.clone();
  grown[1][1] *= 2;  // -3.5
  grown[2][2] *= 2;  // 3.0 after 0: 0, 5, 4, 3, 2, 1 in halves above one
  EXPECT_LT(distance(change, grown), 1e-11);
}

TEST_F(LoxOfADecoder, VectorsStay) {
  const auto plain = aligned(*base_, {}), made = extrapolated(Json::object());
  EXPECT_TRUE(made->weights().at("model.norm.weight").equal(plain->weights().at("model.norm.weight")));
}

TEST(Lox, WithoutLengthIsPlain) {
  fakes::FakeContext context;
  fixtures::expect_strength(stage_with("lox", {{"coef", 0}}), stage_with("lox", {{"coef", 0.1}, {"k", 1}}), context);
}

TEST(Lox, AKilledAlignmentEndsInTheSameBits) {
  fakes::FakeContext context;
  fixtures::expect_resumes_to_the_same_bits(stage_with("lox", {{"k", 2}}), context);
}

TEST(Lox, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"k", -1}, {"coef", -0.5}});
  Params params(settings.state);
  shipped("lox").make_defense(params);
  for (const auto* name : {"k", "coef"}) EXPECT_THAT(settings.mistakes(), HasSubstr(name));
  EXPECT_EQ(shipped("lox").stages, kStageAlign);
}

TEST(Lox, PresetsAreThoseOfTheCard) { EXPECT_PRESET("lox", "repo", {{"k", 0}, {"coef", 1.0}}); }

}  // namespace
}  // namespace holdfast
