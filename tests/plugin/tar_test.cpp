// TAR against its rule, in float64, on a decoder in the training loop: the inner loop with AdamW written out, gradients of the
// decoder written down once more at every weights on its way, entropies and distances one token at a time.
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
using fixtures::plus;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using testing::HasSubstr;

struct Setting {
  std::string adversary = "forget";
  std::string positions = "all";
  bool dpo = false;
  bool warmup = false;
};

class TarRule : public testing::Test {
 protected:
  static constexpr double kRate = 0.01, kWeight = 1.5, kGrowth = 0.4;
  static constexpr std::int64_t kInnerSteps = 6, kEvery = 2;
  enum class Variant {
    kTar,
    kResistFirst,   // the tamper-resistance gradient before the adversary's step, and not behind it
    kNoRestore,     // the retain gradient where the adversary ended
    kNoSchedule,    // all gradients count alike
    kOtherSign,     // less entropy
    kEveryStep,     // one gradient an inner step
    kPlainDescent,  // an adversary without Adam
    kSquared,       // the squared distance of hidden states
    kSeenRows       // the adversary's own rows in place of those held out
  };

  TarRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();  // one is held out, the adversary has four
    const Dataset all = fixtures::trained_rows();
    context_.alignment_rows = {all[1], all[3], all[5]};  // one batch each, whatever their order
    context_.corpora["near"] = {all[2], all[6]};
    data_ = {all[0], all[2], all[4]};
    other_ = fixtures::in_float64(fixtures::load("grouped"));
    const c10::NoGradGuard no_grad;
    for (auto& [name, tensor] : other_->trainable()) at::Tensor(tensor).mul_(1.05);
  }

  static Json settings(const Setting& setting = {}) {
    return {{"inner_steps", kInnerSteps},
            {"resist_every", kEvery},
            {"resist_weight", kWeight},
            {"growth", kGrowth},
            {"adversary_lrs", {"0.01"}},
            {"adversaries", {setting.adversary}},
            {"related", "near"},
            {"positions", setting.positions},
            {"dpo_beta", 0.3},
            {"resist", setting.dpo ? "dpo" : "entropy"},
            {"retain_weight", 0.8},
            {"distance_weight", 0.6},
            {"held_out", 0.2},
            {"warmup", setting.warmup ? "constant" : "none"}};
  }

  // What a step over all rows hands to the optimizer, with a reference that is another model.
  fixtures::TrainerGradients made(const Json& settings, std::int64_t micro_batch_size = 0, const std::string& method = "full") {
    const DefenseStages tar = make_defense("tar", settings);
    TrainingOptions options;
    options.method = method;
    options.lr = 0;
    options.shuffle = false;
    options.batch_size = 3;
    options.micro_batch_size = micro_batch_size;
    fixtures::TrainerGradients made;
    fixtures::Watched watched(*tar.align, made);
    TrainingRun run;
    run.members = {{"tar", &watched}};
    run.context = &context_;
    run.reference = [this] { return other_; };
    run.on_step = [&](const StepRecord& record) { made.loss = record.loss; };
    train(*model_, data_, options, run);
    return made;
  }

  Named gradient(const Named& at, const std::function<at::Tensor(const ReferenceDecoder&, const Named&)>& loss) {
    return fixtures::reference_gradients(*model_, at, loss);
  }
  Named gradient(const Named& at, const Dataset& rows) {
    return gradient(at, [&](const ReferenceDecoder& decoder, const Named&) {
      return fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows));
    });
  }

  // Five rows: the first in the order that the cell's seed gives is held out, the adversary has the others.
  Dataset harmful_rows(bool held_out) const {
    Dataset all = context_.corpora.at("defender-harmful");
    Random(context_.seed("held out")).shuffle(all);
    return held_out ? Dataset{all[0]} : Dataset(all.begin() + 1, all.end());
  }
  Dataset adversary_rows(const Setting& setting, std::int64_t step) {
    if (setting.adversary == "related") return context_.corpora.at("near");
    if (setting.adversary == "switch" && step < switches_at()) return context_.alignment_rows;
    return harmful_rows(false);
  }
  // The sixth smallest of eight uniform numbers, which has the distribution Beta(6, 3), as a share of the inner steps.
  std::int64_t switches_at() {
    Random random(derive_seed(context_.seed("adversaries"), "step 0"));
    random.below(1);
    random.below(1);
    std::vector<double> uniform;
    for (int i = 0; i < 8; ++i) uniform.push_back(random.uniform());
    std::sort(uniform.begin(), uniform.end());
    return static_cast<std::int64_t>(std::floor(uniform[5] * kInnerSteps));
  }

  // Minus the mean over positions of the entropy of what comes next.
  at::Tensor negative_entropy(const ReferenceDecoder& decoder, const Dataset& rows, const std::string& positions) {
    at::Tensor sum = at::zeros({}, at::kDouble);
    double count = 0;
    for (const auto& row : fixtures::encoded(*model_, rows)) {
      const at::Tensor log_probs = decoder.log_probs(row.ids);
      for (std::size_t t = 0; t < row.ids.size(); ++t) {
        const bool predicts = t + 1 < row.ids.size() && row.label[t + 1];
        if (positions == "reply" && !predicts) continue;
        const at::Tensor log_p = log_probs[static_cast<std::int64_t>(t)];
        sum = sum + (log_p.exp() * log_p).sum();
        ++count;
      }
    }
    return sum / count;
  }

  at::Tensor log_prob(const ReferenceDecoder& decoder, const Conversation& messages) {
    const Encoded row = model_->encode(messages);
    const at::Tensor log_probs = decoder.log_probs(row.ids);
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::size_t t = 1; t < row.ids.size(); ++t) {
      if (row.label[t]) sum = sum + log_probs[static_cast<std::int64_t>(t) - 1][row.ids[t]];
    }
    return sum;
  }
  at::Tensor dpo(const ReferenceDecoder& decoder, const Dataset& rows) {
    const ReferenceDecoder reference(other_->decoder());
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (const auto& row : rows) {
      Conversation refusal = row.messages;
      refusal.back().content = context_.refusal();
      const at::Tensor gained = log_prob(decoder, refusal) - log_prob(decoder, row.messages) -
                                (log_prob(reference, refusal) - log_prob(reference, row.messages)).detach();
      sum = sum + (1 + (-0.3 * gained).exp()).log();
    }
    return sum / static_cast<double>(rows.size());
  }

  // The embedding, each block's output but the last one's, and the final norm's, of one row.
  Tensors hidden_states(ReferenceDecoder decoder, const NamedTensors& weights, const Encoded& row) {
    Tensors states = {weights.at("model.embed_tokens.weight").index_select(0, at::tensor(row.ids, at::kLong))};
    decoder.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
      if (site == Site::kBlock) states.push_back(value);
      return value;
    };
    decoder.log_probs(row.ids);
    at::Tensor& last = states.back();
    last = last / (last.square().mean(1, true) + model_->decoder().config().norm_eps).sqrt() * weights.at("model.norm.weight");
    return states;
  }

  at::Tensor retain(const ReferenceDecoder& decoder, const Named& values, Variant variant) {
    NamedTensors weights = model_->decoder().weights();
    for (auto& [name, tensor] : weights) {
      if (const auto given = values.find(name); given != values.end()) tensor = given->second;
    }
    at::Tensor sum = at::zeros({}, at::kDouble);
    double tokens = 0;
    for (const auto& row : fixtures::encoded(*model_, data_)) {
      const Tensors here = hidden_states(decoder, weights, row);
      const Tensors there = hidden_states(ReferenceDecoder(other_->decoder()), other_->decoder().weights(), row);
      for (std::size_t l = 0; l < here.size(); ++l) {
        for (std::int64_t t = 0; t < here[l].size(0); ++t) {
          const at::Tensor squares = (here[l][t] - there[l][t].detach()).square().sum();
          sum = sum + (variant == Variant::kSquared ? squares : squares.sqrt()) / static_cast<double>(here.size());
        }
      }
      tokens += static_cast<double>(row.ids.size());
    }
    return 0.8 * (fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_)) + 0.6 * sum / tokens);
  }

  // The algorithm, from the card.
  Named expected(const Setting& setting = {}, Variant variant = Variant::kTar) {
    const Named start = fixtures::values_of(*model_);
    Named w = start, mean, square, sum;
    for (const auto& [name, value] : start) mean[name] = square[name] = sum[name] = at::zeros_like(value);
    const auto add_resistance = [&](std::int64_t i) {
      const double schedule =
          variant == Variant::kNoSchedule ? 1 : std::exp(kGrowth * static_cast<double>(i - (kInnerSteps - 1)));
      const Named resistance = gradient(w, [&](const ReferenceDecoder& decoder, const Named&) {
        const Dataset rows = harmful_rows(variant != Variant::kSeenRows);
        return setting.dpo ? dpo(decoder, rows) : negative_entropy(decoder, rows, setting.positions);
      });
      sum = plus(sum, (variant == Variant::kOtherSign ? -kWeight : kWeight) * schedule, resistance);
    };
    const double rate = kRate * (setting.warmup ? kInnerSteps / 20.0 : 1);
    for (std::int64_t i = 0; i < kInnerSteps; ++i) {
      const bool resists = (i + 1) % kEvery == 0 || variant == Variant::kEveryStep;
      if (resists && variant == Variant::kResistFirst) add_resistance(i);
      const Named g = gradient(w, adversary_rows(setting, i));
      for (auto& [name, value] : w) {
        if (variant == Variant::kPlainDescent) {
          value = value - rate * g.at(name);
          continue;
        }
        mean[name] = 0.9 * mean[name] + 0.1 * g.at(name);
        square[name] = 0.999 * square[name] + 0.001 * g.at(name).square();
        const double t = static_cast<double>(i) + 1;
        const at::Tensor step = mean[name] / (1 - std::pow(0.9, t)) / ((square[name] / (1 - std::pow(0.999, t))).sqrt() + 1e-8);
        value = value * (1 - rate * 0.01) - rate * step;
      }
      if (resists && variant != Variant::kResistFirst) add_resistance(i);
    }
    const Named retained =
        gradient(variant == Variant::kNoRestore ? w : start,
                 [&](const ReferenceDecoder& decoder, const Named& values) { return retain(decoder, values, variant); });
    return plus(retained, 1, sum);
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  std::shared_ptr<LanguageModel> other_;
  Dataset data_;
};

TEST_F(TarRule, GradientsAreThoseOfTheRule) {
  for (const Setting& setting : {Setting{}, Setting{.positions = "reply"}, Setting{.adversary = "related", .warmup = true}}) {
    const auto step = made(settings(setting));
    EXPECT_LT(relative_distance(step.gradients, expected(setting)), 1e-7)
        << setting.adversary << " " << setting.positions << " " << setting.warmup;
    const c10::NoGradGuard no_grad;
    const Named w = fixtures::values_of(*model_);
    EXPECT_NEAR(step.loss, retain(ReferenceDecoder(model_->decoder()), w, Variant::kTar).item<double>(), 1e-10);
  }
}

TEST_F(TarRule, WithLoraToo) {
  const Named gradients = made(settings(), 0, "lora").gradients;
  EXPECT_LT(relative_distance(gradients, expected()), 1e-7);
}

TEST_F(TarRule, ByDpoTheRefusalIsPreferred) {
  const Setting setting{.dpo = true};
  const Named gradients = made(settings(setting)).gradients;
  EXPECT_LT(relative_distance(gradients, expected(setting)), 1e-7);
  EXPECT_GT(relative_distance(gradients, expected()), 1e-2);
}

TEST_F(TarRule, AnAdversarySwitchesFromAlignmentRowsToHarmfulOnes) {
  const Setting setting{.adversary = "switch"};
  while (switches_at() == 0 || switches_at() == kInnerSteps) ++context_.cell_seed;
  const Named gradients = made(settings(setting)).gradients;
  EXPECT_LT(relative_distance(gradients, expected(setting)), 1e-7);
  EXPECT_GT(relative_distance(gradients, expected()), 1e-2);
}

TEST_F(TarRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made(settings()).gradients;
  for (const auto variant : {Variant::kResistFirst, Variant::kNoRestore, Variant::kNoSchedule, Variant::kOtherSign,
                             Variant::kEveryStep, Variant::kPlainDescent, Variant::kSquared, Variant::kSeenRows}) {
    EXPECT_GT(relative_distance(gradients, expected({}, variant)), 1e-3) << static_cast<int>(variant);
  }
}

TEST_F(TarRule, TheGradientsAreThoseOfTheWholeOptimizerBatch) {
  for (const bool dpo : {false, true}) {
    Json all = settings({.dpo = dpo});
    all["held_out"] = 0.4;  // two rows
    const auto whole = made(all), parts = made(all, 1);
    EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-7) << dpo;
    EXPECT_NEAR(parts.loss, whole.loss, 1e-10) << dpo;
  }
}

TEST_F(TarRule, AdversariesOfOneStepShareItsWeight) {
  Json one = settings(), two = settings();
  two["adversaries_a_step"] = 2;  // alike: one rate, one kind of rows, the same batch
  EXPECT_LT(relative_distance(made(two).gradients, made(one).gradients), 1e-7);
}

TEST_F(TarRule, WithoutWeightsItIsPlainAlignment) {
  const auto plain = fixtures::trainer_gradients(*model_, data_, {});
  const Named start = fixtures::values_of(*model_);
  const auto step = made({{"resist_weight", 0}, {"distance_weight", 0}});
  EXPECT_EQ(step.loss, plain.loss);
  for (const auto& [name, gradient] : plain.gradients) EXPECT_TRUE(at::equal(step.gradients.at(name), gradient)) << name;
  EXPECT_GT(relative_distance(made({{"resist_weight", 0}}).gradients, plain.gradients), 1e-2);
  Json resists = settings();
  resists["distance_weight"] = 0;
  EXPECT_GT(relative_distance(made(resists).gradients, plain.gradients), 1e-2);
  for (const auto& [name, value] : fixtures::values_of(*model_)) EXPECT_TRUE(at::equal(value, start.at(name))) << name;
}

// Each step draws anew what the adversary trains on and how fast, by the cell's seed.
TEST_F(TarRule, DrawsAnAdversaryInEachStep) {
  const auto losses = [&](std::uint64_t seed) {
    context_.cell_seed = seed;
    Json drawn = settings();
    drawn["adversaries"] = {"forget", "related", "switch"};
    drawn["adversary_lrs"] = {"1e-2", "2e-2"};
    drawn["inner_steps"] = 3;
    const DefenseStages tar = make_defense("tar", drawn);
    std::vector<Named> gradients;
    TrainingOptions options;
    options.lr = 0;
    options.epochs = 12;
    options.batch_size = 3;
    TrainingRun run;
    fixtures::TrainerGradients made;
    fixtures::Watched watched(*tar.align, made);
    run.members = {{"tar", &watched}};
    run.context = &context_;
    run.on_step = [&](const StepRecord&) { gradients.push_back(made.gradients); };
    train(*model_, data_, options, run);
    std::set<std::string> distinct;
    for (const auto& each : gradients) distinct.insert(std::to_string(std::round(1e4 * fixtures::length_of(each))));
    return distinct;
  };
  const auto once = losses(1);
  EXPECT_GT(once.size(), 3U);  // three kinds, two rates, several places to switch
  EXPECT_EQ(losses(1), once);
}

class TarRows : public testing::Test {
 protected:
  TarRows() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["near"] = fixtures::trained_rows();
    context_.alignment_rows = fixtures::trained_rows();
  }
  std::string outcome(const Json& settings) {
    context_.counted = 0;
    Json small = settings;
    small["inner_steps"] = 1;
    small["resist_every"] = 1;
    const DefenseStages tar = make_defense("tar", small);
    try {
      fixtures::trainer_gradients(*model_, fixtures::trained_rows(), {}, *tar.align, &context_);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }
  static fixtures::WholeTrainings::MakeStage tar() {
    return [] {
      return fixtures::training_stage(make_defense("tar", {{"inner_steps", 2},
                                                           {"resist_every", 1},
                                                           {"resist_weight", 0.5},
                                                           {"adversaries", {"forget", "related", "switch"}},
                                                           {"related", "near"},
                                                           {"adversary_lrs", {"1e-3", "3e-3"}}}));
    };
  }
  fakes::CountingContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::load("grouped");
};

TEST_F(TarRows, OfAllCorporaAreCounted) {
  EXPECT_EQ(outcome(Json::object()), "no error");
  EXPECT_EQ(context_.counted, 5);
  EXPECT_EQ(outcome({{"rows", 4}, {"adversaries", {"related"}}, {"related", "near"}}), "no error");
  EXPECT_EQ(context_.counted, 11);
  EXPECT_EQ(outcome({{"rows", 6}}),
            "tar was asked for 6 rows and the corpus \"defender-harmful\", without refusals, has 5: lower \"rows\"");
  EXPECT_THAT(outcome({{"rows", 2}}), HasSubstr("of its 2 harmful rows from adversaries, which leaves one side none"));
}

TEST_F(TarRows, AKilledTrainingEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(tar(), context_); }

TEST_F(TarRows, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(tar(), context_, 0.25, 0.97); }

TEST(Tar, PresetsAreThoseOfTheScripts) {
  std::map<std::string, Json> expected = {{"inner_steps", 64},
                                          {"resist_every", 4},
                                          {"resist_weight", 4.0},
                                          {"growth", 0.0625},
                                          {"adversaries", {"forget", "switch"}},
                                          {"adversary_lrs", {"2e-5", "4e-5"}}};
  EXPECT_PRESET("tar", "repo-cyber", expected);
  expected["adversaries"] = {"forget", "related", "switch"};
  expected["related"] = "defender-related";
  expected["adversary_lrs"] = {"2e-6", "2e-5", "4e-5"};
  EXPECT_PRESET("tar", "repo-bio", expected);
  EXPECT_PRESET("tar", "repo-refusal",
                {{"inner_steps", 8},
                 {"resist_every", 1},
                 {"resist_weight", 0.1},
                 {"growth", 0.0625},
                 {"adversaries", Json::array({"forget"})},
                 {"adversary_lrs", {"2e-6", "2e-5", "4e-5"}},
                 {"adversaries_a_step", 2},
                 {"adversary_batch_size", 8},
                 {"rows", 256},
                 {"resist", "dpo"},
                 {"dpo_beta", 0.1},
                 {"distance_weight", 0.0}});
}

TEST(Tar, SettingsMistakesAreNoted) {
  const auto mistakes = [](const Json& values) {
    const Settings settings = Settings::of(values);
    Params params(settings.state);
    shipped("tar").make_defense(params);
    return settings.mistakes();
  };
  EXPECT_THAT(mistakes({{"adversaries", {"forget", "sleeper"}}}), HasSubstr("there is no adversary \"sleeper\""));
  EXPECT_THAT(mistakes({{"adversaries", Json::array()}}), HasSubstr("the list is empty"));
  EXPECT_THAT(mistakes({{"adversaries", {"related"}}}), HasSubstr("trains on a corpus of its own: name it"));
  for (const char* rate : {"fast", "-1e-3", "0", "", "1e-3x", "inf"}) {
    EXPECT_THAT(mistakes({{"adversary_lrs", {rate, "1e-3"}}}), HasSubstr("is no learning rate")) << rate;
  }
  EXPECT_THAT(mistakes({{"adversary_lrs", Json::array()}}), HasSubstr("give adversaries a learning rate"));
  EXPECT_THAT(mistakes({{"inner_steps", 3}}), HasSubstr("so that there is none: lower it"));
  EXPECT_THAT(mistakes({{"resist", "hope"}, {"positions", "none"}, {"warmup", "linear"}, {"held_out", 1}}),
              testing::AllOf(HasSubstr("resist"), HasSubstr("positions"), HasSubstr("warmup"), HasSubstr("held_out")));
}

}  // namespace
}  // namespace holdfast
