// Constrained fine-tuning against the paper's loss, -(2 / beta_t) log sigmoid(beta_t (log pi - log pi_ref)), in float64 with
// the decoder written down once more, and a reference with other weights than the model.
#include <gmock/gmock.h>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;

struct Betas {
  double first = 0.5, early = 2, later = 0.1;
  std::int64_t early_tokens = 5;
  double of(std::int64_t place) const { return place >= early_tokens ? later : place == 0 ? first : early; }
};

// One label token: its log-probability, that under the reference, and its place in its reply.
using OfToken = std::function<at::Tensor(const at::Tensor& now, const at::Tensor& reference, std::int64_t place)>;

// The mean over all label tokens.
at::Tensor mean_over_tokens(const ReferenceDecoder& model, const ReferenceDecoder& reference, const std::vector<Encoded>& rows,
                            const OfToken& of_token) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  double labels = 0;
  for (const auto& row : rows) {
    const at::Tensor now = model.log_probs(row.ids), before = reference.log_probs(row.ids).detach();
    std::int64_t place = 0;
    for (std::size_t i = 1; i < row.ids.size(); ++i) {
      if (!row.label[i - 1]) place = 0;
      if (!row.label[i]) continue;
      const auto at = static_cast<std::int64_t>(i) - 1;
      sum = sum + of_token(now[at][row.ids[i]], before[at][row.ids[i]], place++);
      ++labels;
    }
  }
  return sum / labels;
}

// What the reference is when the training starts, and what becomes of it behind begin().
enum class Reference { kStays, kIsLost };

// Makes the reference useless once the stage's begin() is through.
class Losing final : public TrainingStage {
 public:
  Losing(TrainingStage& stage, LanguageModel& reference) : stage_(stage), reference_(reference) {}
  void begin(Trainer& trainer) override {
    stage_.begin(trainer);
    reference_.set_weight("model.norm.weight", at::zeros({reference_.width()}, at::kDouble));
  }
  double step(Trainer& trainer) override { return stage_.step(trainer); }

 private:
  TrainingStage& stage_;
  LanguageModel& reference_;
};

class ConstrainedSftRule : public testing::Test {
 protected:
  ConstrainedSftRule() {
    const c10::NoGradGuard no_grad;
    for (const auto& [name, weight] : reference_->trainable()) {
      at::Tensor(weight).add_(fixtures::waves(weight.sizes(), static_cast<double>(name.size())),
                              0.15 * weight.std().item<double>());
    }
    original_ = fixtures::values_of(*reference_);
    Example long_row = {
        {{"user", "Tell"}, {"assistant", "A tale of some length, which goes on, and on, and on until it is cut"}}};
    Example partly = {{{"user", "Go on"}, {"assistant", "Part of it is context and the rest of it is learned"}}};
    partly.messages.back().learn_from = 11;
    data_.push_back(long_row);
    data_.push_back(partly);
  }

  struct Given {
    Json settings = {{"floor", 0}};
    Reference reference = Reference::kStays;
    std::int64_t max_length = 1024, micro_batch_size = 0;
    bool prepared = true;
    std::function<double(Trainer&)> outside = {};  // a member around it
    std::function<void(Trainer&)> begin_outside = {};
  };

  // What one step over all rows hands to the optimizer.
  fixtures::TrainerGradients made(const Given& given) {
    const DefenseStages constrained = make_defense("constrained-sft", given.settings);
    TrainingOptions options;
    options.lr = 0;
    options.shuffle = false;
    options.batch_size = static_cast<std::int64_t>(data_.size());
    options.micro_batch_size = given.micro_batch_size;
    options.max_length = given.max_length;
    Dataset rows = data_;
    if (given.prepared) constrained.tune->prepare(options, rows, context_);
    Losing losing(*constrained.tune, *reference_);
    TrainingStage& inner = given.reference == Reference::kIsLost ? losing : static_cast<TrainingStage&>(*constrained.tune);
    fixtures::TrainerGradients made;
    class Outside final : public TrainingStage {
     public:
      explicit Outside(const Given& given) : given_(given) {}
      void begin(Trainer& trainer) override {
        if (given_.begin_outside) given_.begin_outside(trainer);
      }
      double step(Trainer& trainer) override {
        return given_.outside ? given_.outside(trainer) : fixtures::plain_step(trainer);
      }

     private:
      const Given& given_;
    } outside(given);
    fixtures::Watched watched(outside, made);
    TrainingRun run;
    run.members = {{"constrained-sft", &inner}, {"outside", &watched}};
    run.reference = [this] { return reference_; };
    run.on_step = [&](const StepRecord& record) { made.loss = record.loss; };
    train(*model_, rows, options, run);
    return made;
  }

  // The same by definition; values: what is trained, where the loss is wanted.
  at::Tensor defined(const ReferenceDecoder& decoder, const OfToken& of_token, const Dataset& rows,
                     std::int64_t max_length = 0) {
    return mean_over_tokens(decoder, fixtures::decoder_with(*reference_, original_),
                            fixtures::encoded(*model_, rows, max_length), of_token);
  }
  Named defined_gradients(const OfToken& of_token, const Dataset& rows, std::int64_t max_length = 0) {
    return fixtures::reference_gradients(
        *model_, fixtures::values_of(*model_),
        [&](const ReferenceDecoder& decoder, const Named&) { return defined(decoder, of_token, rows, max_length); });
  }

  static OfToken papers_loss(const Betas& betas = {}) {
    return [betas](const at::Tensor& now, const at::Tensor& reference, std::int64_t place) {
      const double beta = betas.of(place);
      return -2 / beta * (1 / (1 + (-beta * (now - reference)).exp())).log();
    };
  }
  static OfToken weighted(double floor, const Betas& betas = {}) {
    return [=](const at::Tensor& now, const at::Tensor& reference, std::int64_t place) {
      const double weight = 2 - 2 / (1 + std::exp(-betas.of(place) * (now - reference).item<double>()));
      return -now * std::max(floor, weight);
    };
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  std::shared_ptr<LanguageModel> reference_ = fixtures::in_float64(fixtures::load("grouped"));
  Named original_;  // the reference's weights as training began
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(ConstrainedSftRule, DescendsThePapersLoss) {
  const auto step = made({});
  const auto loss = [&] {
    const c10::NoGradGuard no_grad;
    return defined(fixtures::decoder_with(*model_, fixtures::values_of(*model_)), papers_loss(), data_).item<double>();
  };
  fixtures::expect_gradients_of({"constrained-sft", model_->trainable(), loss, step.gradients});
  EXPECT_LT(relative_distance(step.gradients, defined_gradients(papers_loss(), data_)), 1e-11);
}

TEST_F(ConstrainedSftRule, LogsTheWeightedLossOfTheCode) {
  for (const double floor : {0.0, 0.7}) {
    const auto step = made({.settings = {{"floor", floor}}});
    const c10::NoGradGuard no_grad;
    const ReferenceDecoder decoder = fixtures::decoder_with(*model_, fixtures::values_of(*model_));
    EXPECT_NEAR(step.loss, defined(decoder, weighted(floor), data_).item<double>(), 1e-10) << floor;
  }
}

TEST_F(ConstrainedSftRule, NoTokenCountsLessThanTheFloor) {
  const auto step = made({.settings = {{"floor", 0.7}}});
  EXPECT_LT(relative_distance(step.gradients, defined_gradients(weighted(0.7), data_)), 1e-11);
  EXPECT_GT(relative_distance(step.gradients, defined_gradients(papers_loss(), data_)), 1e-3);
}

TEST_F(ConstrainedSftRule, SettingsAreTheBetas) {
  const Betas betas = {3, 0.7, 0.02, 3};
  const auto step = made({.settings = {{"beta_first", 3}, {"beta_early", 0.7}, {"beta", 0.02}, {"early", 3}, {"floor", 0}}});
  EXPECT_LT(relative_distance(step.gradients, defined_gradients(papers_loss(betas), data_)), 1e-11);
}

TEST_F(ConstrainedSftRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made({}).gradients;
  Betas first_as_others, too_long, reversed;
  first_as_others.first = 2;
  too_long.early_tokens = 6;
  reversed.first = -0.5;
  for (const Betas& betas : {first_as_others, too_long, reversed}) {
    EXPECT_GT(relative_distance(gradients, defined_gradients(papers_loss(betas), data_)), 1e-3);
  }
  EXPECT_GT(relative_distance(gradients, defined_gradients(weighted(2), data_)), 1e-2);
}

TEST_F(ConstrainedSftRule, MicroBatchesAddUpToTheBatch) {
  const auto whole = made({}), parts = made({.micro_batch_size = 2});
  EXPECT_NEAR(parts.loss, whole.loss, 1e-11);
  EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-11);
}

TEST_F(ConstrainedSftRule, RowsAreCutForTheReferenceAsForTheModel) {
  std::int64_t longest = 0;
  for (const auto& row : fixtures::encoded(*model_, data_))
    longest = std::max(longest, static_cast<std::int64_t>(row.ids.size()));
  const std::int64_t length = longest - 6;
  const auto step = made({.max_length = length});
  EXPECT_LT(relative_distance(step.gradients, defined_gradients(papers_loss(), data_, length)), 1e-11);
  EXPECT_GT(relative_distance(step.gradients, defined_gradients(papers_loss(), data_)), 1e-3);
}

// The reference is asked once for each row and never in a step.
TEST_F(ConstrainedSftRule, AsksTheReferenceBeforeTheFirstStep) {
  for (const std::int64_t length : {1024, 30}) {
    const auto kept = made({.max_length = length});
    const auto lost = made({.reference = Reference::kIsLost, .max_length = length});
    EXPECT_EQ(lost.loss, kept.loss);
    for (const auto& [name, gradient] : kept.gradients) EXPECT_TRUE(at::equal(lost.gradients.at(name), gradient)) << name;
    reference_->set_weight("model.norm.weight", original_.at("model.norm.weight"));
  }
}

// Rows that it did not see beforehand are right too: those of a member that hands on its own (Lisa), under the same numbers.
TEST_F(ConstrainedSftRule, RowsOfAnotherMemberMeetTheirOwnReference) {
  const Dataset others = fixtures::placeholder_rows();
  Stream* stream = nullptr;
  const auto step = made({.outside = [&](Trainer& trainer) { return trainer.backward(stream->next()); },
                          .begin_outside = [&](Trainer& trainer) { stream = &trainer.stream("others", others); }});
  EXPECT_LT(relative_distance(step.gradients, defined_gradients(papers_loss(), others)), 1e-11);
  EXPECT_LT(relative_distance(made({.prepared = false}).gradients, defined_gradients(papers_loss(), data_)), 1e-11);
}

TEST_F(ConstrainedSftRule, TakesWeightsOfAMemberAroundItIntoAccount) {
  const auto step = made({.outside = [](Trainer& trainer) {
    Batches batches = trainer.rows().next();
    for (auto& batch : batches) batch.target_weights = at::full({batch.target_ids.size(0)}, 0.25);
    return trainer.backward(batches);
  }});
  const auto whole = made({});
  EXPECT_NEAR(step.loss, whole.loss / 4, 1e-12);
  EXPECT_LT(relative_distance(step.gradients, fixtures::plus(whole.gradients, -0.75, whole.gradients)), 1e-12);
}

// 2 (1 - sigmoid(0)) is one.
TEST_F(ConstrainedSftRule, AReferenceThatIsTheModelGivesPlainTuning) {
  const DefenseStages constrained = make_defense("constrained-sft");
  TrainingOptions options;
  Dataset rows = data_;
  constrained.tune->prepare(options, rows, context_);
  const auto step = fixtures::trainer_gradients(*model_, data_, options, *constrained.tune);
  const auto plain = fixtures::trainer_gradients(*model_, data_, options);
  EXPECT_NEAR(step.loss, plain.loss, 1e-12);
  EXPECT_LT(relative_distance(step.gradients, plain.gradients), 1e-12);
}

TEST(ConstrainedSft, SettingsAreThePapersAndBetasAreNotNegative) {
  const Settings defaults;
  Params params(defaults.state);
  const DefenseStages constrained = shipped("constrained-sft").make_defense(params);
  EXPECT_NE(constrained.tune, nullptr);
  EXPECT_EQ(constrained.align, nullptr);
  const std::map<std::string, double> papers = {
      {"beta_first", 0.5}, {"beta_early", 2}, {"beta", 0.1}, {"early", 5}, {"floor", 1e-3}};
  for (const auto& [name, value] : papers) EXPECT_EQ(defaults.state->resolved.at(name), value) << name;
  const Settings wrong = Settings::of({{"beta_first", -1}, {"beta_early", -1}, {"beta", -0.1}, {"early", 2.5}, {"floor", 3}});
  Params given(wrong.state);
  shipped("constrained-sft").make_defense(given);
  for (const auto& [name, value] : papers) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr("\"" + name + "\"")) << value;
}

TEST(ConstrainedSft, PresetsDifferInTheFloor) {
  for (const auto& [preset, floor] : {std::pair{"paper", 0.0}, {"repo", 1e-3}}) {
    EXPECT_PRESET("constrained-sft", preset,
                  {{"beta_first", 0.5}, {"beta_early", 2.0}, {"beta", 0.1}, {"early", 5}, {"floor", floor}});
  }
}

fixtures::WholeTrainings::MakeStage constrained_sft() {
  return [] { return fixtures::training_stage(make_defense("constrained-sft")); };
}

TEST(ConstrainedSft, AKilledTrainingEndsInTheSameBits) {
  FakeContext context;
  fixtures::expect_resumes_to_the_same_bits(constrained_sft(), context);
}

TEST(ConstrainedSft, StaysCloseInBfloat16) {
  FakeContext context;
  // Its first tokens' weights fall steeply with the log-ratio that they are functions of.
  fixtures::expect_bfloat16_stays_close(constrained_sft(), context, 0.1, 0.98);
}

}  // namespace
}  // namespace holdfast
