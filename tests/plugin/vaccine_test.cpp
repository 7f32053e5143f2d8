// Vaccine against its formula, in float64: on a decoder in the training loop, against the decoder written down once more.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

double tensor_length(const at::Tensor& tensor) { return std::sqrt(tensor.square().sum().item<double>()); }

enum class VaccineVariant { kVaccine, kNormPerLayer, kDownhill };

// rho g_l / (G + 1e-7) at the output of each attention block, held fixed while the weights' gradients are taken.
std::vector<at::Tensor> defined_perturbation(const LanguageModel& model, const std::vector<Encoded>& rows, double rho,
                                             VaccineVariant variant = VaccineVariant::kVaccine) {
  std::int64_t tokens = 0;
  for (const auto& row : rows) tokens += static_cast<std::int64_t>(row.ids.size());
  std::vector<at::Tensor> offsets;
  for (std::int64_t l = 0; l < model.layers(); ++l) {
    offsets.push_back(at::zeros({tokens, model.width()}, at::kDouble).set_requires_grad(true));
  }
  const at::Tensor loss = fixtures::reference_loss(fixtures::ReferenceDecoder(model.decoder()), rows, offsets);
  const auto gradients = torch::autograd::grad({loss}, offsets);
  double squares = 0;
  for (const auto& gradient : gradients) squares += std::pow(tensor_length(gradient), 2);
  std::vector<at::Tensor> perturbation;
  for (const auto& gradient : gradients) {
    const double length = variant == VaccineVariant::kNormPerLayer ? tensor_length(gradient) : std::sqrt(squares);
    perturbation.push_back((variant == VaccineVariant::kDownhill ? -rho : rho) * gradient / (length + 1e-7));
  }
  return perturbation;
}

class VaccineOfADecoder : public testing::Test {
 protected:
  fixtures::TrainerGradients made(double rho) {
    const DefenseStages vaccine = make_defense("vaccine", {{"rho", rho}});
    return fixtures::trainer_gradients(*model_, data_, {}, *vaccine.align);
  }

  std::vector<Encoded> rows() const {
    std::vector<Encoded> rows;
    for (const auto& row : data_) rows.push_back(model_->encode(row.messages));
    return rows;
  }

  double defined_loss(const std::vector<at::Tensor>& offsets = {}) const {
    const c10::NoGradGuard no_grad;
    return fixtures::reference_loss(fixtures::ReferenceDecoder(model_->decoder()), rows(), offsets).item<double>();
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(VaccineOfADecoder, DescendsThePerturbedLoss) {
  for (const double rho : {0.3, 2.0}) {
    const auto gradients = made(rho);
    const auto offsets = defined_perturbation(*model_, rows(), rho);
    EXPECT_NEAR(gradients.loss, defined_loss(offsets), 1e-10);
    const c10::NoGradGuard no_grad;
    EXPECT_GT(gradients.loss, defined_loss() + 1e-3);
    fixtures::expect_gradients_of({"vaccine", model_->trainable(), [&] { return defined_loss(offsets); }, gradients.gradients});
  }
}

TEST_F(VaccineOfADecoder, IsNoVariantOfIt) {
  const double loss = made(2).loss;
  for (const auto variant : {VaccineVariant::kNormPerLayer, VaccineVariant::kDownhill}) {
    EXPECT_GT(std::abs(loss - defined_loss(defined_perturbation(*model_, rows(), 2, variant))), 1e-3)
        << static_cast<int>(variant);
  }
}

TEST_F(VaccineOfADecoder, RhoZeroIsPlainAlignment) {
  const auto still = made(0), plain = fixtures::trainer_gradients(*model_, data_, {});
  EXPECT_NEAR(still.loss, plain.loss, 1e-12);
  for (const auto& [name, gradient] : plain.gradients) {
    EXPECT_LT((still.gradients.at(name) - gradient).abs().max().item<double>(), 1e-12) << name;
  }
}

TEST(Vaccine, RhoIsTwoByDefaultAsInThePaper) {
  const Settings settings;
  Params params(settings.state);
  shipped("vaccine").make_defense(params);
  EXPECT_EQ(settings.state->resolved.at("rho"), 2.0);
}

TEST(Vaccine, HasThePresetsOfThePaperAndOfWhoRanItAgain) {
  EXPECT_PRESET("vaccine", "paper", {{"rho", 2.0}});
  EXPECT_PRESET("vaccine", "booster-rerun", {{"rho", 5.0}});
  EXPECT_PRESET("vaccine", "safetunebed", {{"rho", 0.1}});
}

TEST(Vaccine, AKilledTrainingEndsInTheSameBitsAndBfloat16StaysClose) {
  fakes::FakeContext context;
  const auto vaccine = [] { return fixtures::training_stage(make_defense("vaccine", {{"rho", 1}})); };
  fixtures::expect_resumes_to_the_same_bits(vaccine, context);
  fixtures::expect_bfloat16_stays_close(vaccine, context, 0.05, 0.98);
}

TEST_F(VaccineOfADecoder, LeavesNoTapsBehindEvenAfterAnError) {
  const DefenseStages vaccine = make_defense("vaccine");
  StepStage failing([](Trainer& trainer) -> double {
    trainer.rows().next();
    throw Error("out of memory");
  });
  TrainingRun run;
  run.members = {{"failing", &failing}, {"vaccine", vaccine.align}};
  EXPECT_THROW(train(*model_, data_, {}, run), Error);
  EXPECT_TRUE(model_->listeners().empty());
  made(2);
  EXPECT_TRUE(model_->listeners().empty());
}

}  // namespace
}  // namespace holdfast
