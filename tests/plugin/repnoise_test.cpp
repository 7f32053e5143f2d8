// RepNoise against its loss, in float64: a decoder, its masks, kernels and cross-entropies written down once more, one row,
// token and pair of rows at a time.
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

#include "base/scratch_folder.h"
#include "fakes/context.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/gradient_check.h"
#include "learn/reference_decoder.h"
#include "plugin/presets.h"
#include "plugin/reference_gradients.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::ReplyPair;
using testing::HasSubstr;

enum class WrongRepNoise { kNothing, kNoMask, kNoiseEverywhere, kOneBandwidth, kDescent, kNoLastState, kSumOfLayers };

struct RepNoiseTerms {
  double alpha = 1, beta = 0.5, retain = 1;
  bool as_code = false;
  WrongRepNoise wrong = WrongRepNoise::kNothing;
};

const std::string kRefusal = "I cannot help with that.";

Example plain_row(const std::string& question, const std::string& reply) {
  return {{{"user", question}, {"assistant", reply}}, {}};
}

// Replies shorter and longer than the refusal, one that begins as it does, and one after an earlier turn.
Dataset harmful_rows() {
  return {plain_row("Sea", "Blue water, and then some more of it, all the way."),
          plain_row("Sky", "No."),
          plain_row("One", "I cannot say, but it is two."),
          {{{"user", "Three"}, {"assistant", "Four"}, {"user", "Five"}, {"assistant", "Six, I think"}}, {}}};
}

Dataset own_rows() {
  const Dataset all = fixtures::trained_rows();
  return {all[0], all[2], all[4], all[6]};
}

// The loss, of the decoder's weights as they stand. The kernels' widths have no gradient: they are those of the first time.
class DefinedLoss {
 public:
  DefinedLoss(const LanguageModel& model, const std::vector<ReplyPair>& pairs, RepNoiseTerms terms)
      : decoder_(model.decoder()),
        config_(model.decoder().config()),
        weights_(model.decoder().weights()),
        pairs_(pairs),
        terms_(terms) {}

  // Of one micro-batch, whose noise is drawn from `random`.
  at::Tensor operator()(Random random) const {
    std::vector<std::vector<at::Tensor>> outputs;  // by row, then layer
    std::vector<std::vector<at::Tensor>> states;
    at::Tensor harmful = at::zeros({}, at::kDouble), refused = harmful;
    double labels = 0, refused_labels = 0;
    for (const auto& pair : pairs_) {
      states.push_back({weights_.at("model.embed_tokens.weight").index_select(0, at::tensor(pair.harmful.ids, at::kLong))});
      outputs.emplace_back();
      fixtures::ReferenceDecoder decoder = decoder_;
      decoder.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
        if (site == Site::kFeedForward) outputs.back().push_back(value);
        if (site == Site::kBlock) states.back().push_back(value);
        return value;
      };
      decoder.log_probs(pair.harmful.ids);
      std::vector<at::Tensor> said = states.back();
      const at::Tensor last = norm(said.back());
      said.back() = terms_.as_code ? norm(last) : last;
      for (std::size_t l = 0; l + 1 < said.size(); ++l) said[l] = norm(said[l]);
      if (terms_.wrong == WrongRepNoise::kNoLastState) said.pop_back();
      said.push_back(last);
      for (const auto& state : said) harmful = harmful + nats(next(state), pair.harmful, pair.refusal);
      labels += count(pair.harmful, pair.refusal);
      refused = refused + nats(decoder_.log_probs(pair.refusal.ids), pair.refusal, pair.harmful);
      refused_labels += count(pair.refusal, pair.harmful);
    }
    at::Tensor noise = at::zeros({}, at::kDouble);
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
      noise = noise + discrepancy(outputs, static_cast<std::size_t>(layer), random);
    }
    if (terms_.wrong != WrongRepNoise::kSumOfLayers) noise = noise / static_cast<double>(config_.layers);
    const at::Tensor ascent = (harmful / labels / static_cast<double>(config_.layers + 1) + 1).log();
    const double sign = terms_.wrong == WrongRepNoise::kDescent ? -1 : 1;
    return refused / refused_labels + terms_.beta * noise - sign * terms_.alpha * ascent;
  }

 private:
  bool differs(const Encoded& row, const Encoded& other, std::size_t t) const {
    return terms_.wrong == WrongRepNoise::kNoMask || t >= other.ids.size() || row.ids[t] != other.ids[t];
  }

  at::Tensor norm(const at::Tensor& x) const {
    return x / (x.square().mean(1, true) + config_.norm_eps).sqrt() * weights_.at("model.norm.weight");
  }

  at::Tensor next(const at::Tensor& normed) const {
    return normed.matmul(weights_.at("model.embed_tokens.weight").t()).log_softmax(1);
  }

  double count(const Encoded& row, const Encoded& other) const {
    double labels = 0;
    for (std::size_t t = 1; t < row.ids.size(); ++t) labels += row.label[t] && differs(row, other, t) ? 1 : 0;
    return labels;
  }

  at::Tensor nats(const at::Tensor& log_probs, const Encoded& row, const Encoded& other) const {
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::size_t t = 1; t < row.ids.size(); ++t) {
      if (!row.label[t] || !differs(row, other, t)) continue;
      const bool uniform = terms_.as_code && !differs(row, other, t - 1);
      sum = sum + (uniform ? at::full({}, std::log(static_cast<double>(config_.vocabulary)), at::kDouble)
                           : -log_probs[static_cast<std::int64_t>(t) - 1][row.ids[t]]);
    }
    return sum;
  }

  // Rows of outputs at masked tokens, then rows of noise there; all pairs of them, by loops.
  at::Tensor discrepancy(const std::vector<std::vector<at::Tensor>>& outputs, std::size_t layer, Random& random) const {
    std::int64_t longest = 0, masked = 0;
    for (const auto& pair : pairs_) {
      longest = std::max(longest, static_cast<std::int64_t>(pair.harmful.ids.size()));
      for (std::size_t t = 0; t < pair.harmful.ids.size(); ++t) masked += differs(pair.harmful, pair.refusal, t) ? 1 : 0;
    }
    std::vector<double> first(static_cast<std::size_t>(masked * config_.width)), second(first.size());
    for (auto& u : first) u = random.uniform();
    for (auto& u : second) u = random.uniform();
    std::vector<at::Tensor> rows, noise;
    std::size_t drawn = 0;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      at::Tensor made = at::zeros({longest, config_.width}, at::kDouble), mask = at::zeros({longest, 1}, at::kDouble);
      for (std::size_t t = 0; t < pairs_[i].harmful.ids.size(); ++t) {
        const bool in_mask = differs(pairs_[i].harmful, pairs_[i].refusal, t);
        if (in_mask) mask[static_cast<std::int64_t>(t)] = 1;
        for (std::int64_t c = 0; c < config_.width; ++c) {
          if (in_mask) {
            made[static_cast<std::int64_t>(t)][c] =
                std::sqrt(-2 * std::log(1 - first[drawn])) * std::cos(2 * std::numbers::pi * second[drawn]);
            ++drawn;
          } else if (terms_.wrong == WrongRepNoise::kNoiseEverywhere) {
            made[static_cast<std::int64_t>(t)][c] = 1;
          }
        }
      }
      const at::Tensor& output = outputs[i][layer];
      const at::Tensor padded = at::cat({output, at::zeros({longest - output.size(0), config_.width}, at::kDouble)});
      rows.push_back((padded * mask).flatten());
      noise.push_back(made.flatten());
    }
    const auto b = rows.size();
    rows.insert(rows.end(), noise.begin(), noise.end());
    double sum = 0;
    for (const auto& a : rows) {
      for (const auto& c : rows) sum += (a - c).square().sum().item<double>();
    }
    const double n = static_cast<double>(rows.size());
    if (widths_.size() <= layer) widths_.push_back(sum / (n * n - n) / 4);
    at::Tensor total = at::zeros({}, at::kDouble);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t j = 0; j < rows.size(); ++j) {
        at::Tensor kernel = at::zeros({}, at::kDouble);
        for (const double factor : {1, 2, 4, 8, 16}) {
          if (terms_.wrong == WrongRepNoise::kOneBandwidth && factor > 1) break;
          kernel = kernel + (-(rows[i] - rows[j]).square().sum() / (widths_[layer] * factor)).exp();
        }
        total = total + ((i < b) == (j < b) ? kernel : -kernel);
      }
    }
    return total / static_cast<double>(b * b);
  }

  fixtures::ReferenceDecoder decoder_;
  const ModelConfig config_;
  NamedTensors weights_;
  std::vector<ReplyPair> pairs_;
  RepNoiseTerms terms_;
  mutable std::vector<double> widths_;  // by layer
};

class RepNoiseOfADecoder : public testing::Test {
 protected:
  RepNoiseOfADecoder() { context_.corpora["defender-harmful"] = harmful_rows(); }

  static Json settings(const RepNoiseTerms& terms) {
    return {
        {"alpha", terms.alpha}, {"beta", terms.beta}, {"retain", terms.retain}, {"variant", terms.as_code ? "repo" : "paper"}};
  }

  fixtures::TrainerGradients made(const RepNoiseTerms& terms, TrainingOptions options = {}) {
    const DefenseStages repnoise = make_defense("repnoise", settings(terms));
    return fixtures::trainer_gradients(*model_, own_rows(), options, *repnoise.align, &context_);
  }

  std::vector<ReplyPair> pairs() const {
    return fixtures::reply_pairs(*model_, context_.corpora.at("defender-harmful"), kRefusal);
  }

  at::Tensor own_loss() const {
    std::vector<Encoded> rows;
    for (const auto& each : own_rows()) rows.push_back(model_->encode(each.messages));
    return fixtures::reference_loss(fixtures::ReferenceDecoder(model_->decoder()), rows);
  }

  Random noise() const { return Random(derive_seed(context_.seed("noise"), "step 0")); }

  std::function<at::Tensor()> definition(const RepNoiseTerms& terms) const {
    return [this, terms, pair_loss = DefinedLoss(*model_, pairs(), terms)] {
      return terms.retain * own_loss() + pair_loss(noise());
    };
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  fakes::FakeContext context_;
};

TEST_F(RepNoiseOfADecoder, DescendsItsLoss) {
  for (const RepNoiseTerms& terms :
       {RepNoiseTerms{}, RepNoiseTerms{.as_code = true}, RepNoiseTerms{.alpha = 0.3, .beta = 4, .retain = 0}}) {
    const auto gradients = made(terms);
    const auto defined = definition(terms);
    EXPECT_NEAR(gradients.loss, defined().item<double>(), 1e-10);
    model_->decoder().require_gradients(true);
    std::vector<at::Tensor> tensors;
    for (const auto& [name, tensor] : model_->trainable()) tensors.push_back(tensor);
    const auto slopes = torch::autograd::grad({defined()}, tensors);
    model_->decoder().require_gradients(false);
    std::size_t i = 0;
    for (const auto& [name, tensor] : model_->trainable()) {
      EXPECT_LT(distance(gradients.gradients.at(name), slopes[i++]), 1e-9) << name;
    }
  }
}

TEST_F(RepNoiseOfADecoder, HasTheSlopesOfItsLoss) {
  const RepNoiseTerms terms;
  const auto gradients = made(terms);
  const auto defined = definition(terms);
  const c10::NoGradGuard no_grad;
  defined();  // the kernels' widths
  fixtures::expect_gradients_of(
      {"repnoise", model_->trainable(), [&] { return defined().item<double>(); }, gradients.gradients});
}

TEST_F(RepNoiseOfADecoder, IsNoVariantOfIt) {
  const c10::NoGradGuard no_grad;
  const double loss = [&] {
    at::AutoGradMode with_gradients(true);
    return made({}).loss;
  }();
  for (const auto wrong : {WrongRepNoise::kNoMask, WrongRepNoise::kNoiseEverywhere, WrongRepNoise::kOneBandwidth,
                           WrongRepNoise::kDescent, WrongRepNoise::kNoLastState, WrongRepNoise::kSumOfLayers}) {
    EXPECT_GT(std::abs(loss - definition({.wrong = wrong})().item<double>()), 1e-3) << static_cast<int>(wrong);
  }
  EXPECT_GT(std::abs(loss - definition({.as_code = true})().item<double>()), 1e-3);
}

// Each micro-batch has kernels and a logarithm of its own, and counts as its share of the rows.
TEST_F(RepNoiseOfADecoder, MicroBatchesCountByTheirRows) {
  context_.corpora["defender-harmful"].pop_back();
  TrainingOptions options;
  options.micro_batch_size = 2;
  const RepNoiseTerms terms{.beta = 2, .retain = 0};
  const auto all = pairs();
  Random random = noise();
  const double first = DefinedLoss(*model_, {all[0], all[1]}, terms)(random).item<double>();
  std::int64_t drawn = 0;
  for (const auto& pair : {all[0], all[1]}) {
    for (std::size_t t = 0; t < pair.harmful.ids.size(); ++t) {
      drawn += t >= pair.refusal.ids.size() || pair.harmful.ids[t] != pair.refusal.ids[t] ? 1 : 0;
    }
  }
  for (std::int64_t i = 0; i < 2 * drawn * model_->width() * model_->layers(); ++i) random.uniform();
  const double second = DefinedLoss(*model_, {all[2]}, terms)(random).item<double>();
  EXPECT_NEAR(made(terms, options).loss, 2.0 / 3 * first + 1.0 / 3 * second, 1e-10);
}

TEST_F(RepNoiseOfADecoder, APairWithoutADifferenceAddsNothing) {
  context_.corpora["defender-harmful"] = {plain_row("Sea", kRefusal + " More")};  // the same tokens as far as rows are read
  const auto pair = pairs().front();
  TrainingOptions options;
  options.max_length = static_cast<std::int64_t>(
      std::mismatch(pair.harmful.ids.begin(), pair.harmful.ids.end(), pair.refusal.ids.begin()).first -
      pair.harmful.ids.begin());
  const DefenseStages repnoise = make_defense("repnoise");
  const Dataset own = {plain_row("Sea", kRefusal)};
  const auto with = fixtures::trainer_gradients(*model_, own, options, *repnoise.align, &context_);
  const auto without = fixtures::trainer_gradients(*model_, own, options);
  EXPECT_NEAR(with.loss, without.loss, 1e-12);
  for (const auto& [name, gradient] : without.gradients) EXPECT_LT(distance(with.gradients.at(name), gradient), 1e-12) << name;
}

TEST_F(RepNoiseOfADecoder, DrawsItsNoiseAnewInEachStep) {
  const auto losses = [&](std::uint64_t seed) {
    context_.cell_seed = seed;
    TrainingOptions options;
    options.lr = 0;
    options.epochs = 3;
    options.shuffle = false;
    const DefenseStages repnoise = make_defense("repnoise", settings({}));
    TrainingRun run;
    run.members = {{"repnoise", repnoise.align}};
    run.context = &context_;
    std::vector<double> all;
    for (const auto& record : train(*model_, own_rows(), options, run)) all.push_back(record.loss);
    return all;
  };
  const auto once = losses(1);
  ASSERT_EQ(once.size(), 3U);
  EXPECT_NE(once[0], once[1]);
  EXPECT_NE(once[1], once[2]);
  EXPECT_EQ(losses(1), once);
  EXPECT_NE(losses(2)[0], once[0]);
}

TEST_F(RepNoiseOfADecoder, TakesTheRowsItIsAskedFor) {
  context_.corpora["other"] = harmful_rows();
  context_.corpora["other"].push_back(plain_row("Bye", kRefusal));  // its own pair
  const auto reported = [&](const Json& settings) {
    const DefenseStages repnoise = make_defense("repnoise", settings);
    fixtures::trainer_gradients(*model_, own_rows(), {}, *repnoise.align, &context_);
    return context_.reports.at("defender-rows").value;
  };
  EXPECT_EQ(reported({{"harmful", "other"}}), 4);
  EXPECT_EQ(reported({{"harmful", "other"}, {"rows", 3}}), 3);
  EXPECT_TRUE(model_->listeners().empty());
}

std::string refused(LanguageModel& model, fakes::FakeContext& context, const Json& settings) {
  const DefenseStages repnoise = make_defense("repnoise", settings);
  try {
    fixtures::trainer_gradients(model, own_rows(), {}, *repnoise.align, &context);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(RepNoiseOfADecoder, SaysWhatItCannotDo) {
  EXPECT_EQ(refused(*model_, context_, {{"rows", 5}}),
            "repnoise was asked for 5 rows and the corpus \"defender-harmful\", without refusals, has 4: lower \"rows\"");
  for (const std::string origin : {"rows.jsonl:5", ""}) {
    context_.corpora["defender-harmful"] = harmful_rows();
    context_.corpora["defender-harmful"].push_back({{{"user", "Sea"}}, {}, origin});
    EXPECT_EQ(refused(*model_, context_, Json::object()), "repnoise needs harmful rows that end with a reply, and " +
                                                              (origin.empty() ? "row 5" : origin) +
                                                              " of \"defender-harmful\" does not: leave it out");
  }
}

TEST(RepNoise, DefaultsAreThoseOfThePaper) {
  const Settings settings;
  Params params(settings.state);
  const DefenseStages repnoise = shipped("repnoise").make_defense(params);
  EXPECT_EQ(settings.state->resolved.at("alpha"), 1);
  EXPECT_EQ(settings.state->resolved.at("beta"), 0.001);
  EXPECT_FALSE(repnoise.align->draws_itself());
  EXPECT_TRUE(make_defense("repnoise", {{"retain", 0}}).align->draws_itself());
}

TEST(RepNoise, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("repnoise", "paper", {{"alpha", 1}, {"beta", 0.001}, {"retain", 0}, {"variant", "paper"}});
  EXPECT_PRESET("repnoise", "repo", {{"alpha", 1}, {"beta", 0.001}, {"retain", 0}, {"variant", "repo"}});
  EXPECT_PRESET("repnoise", "port", {{"alpha", 0.1}, {"beta", 0.001}, {"retain", 0}, {"variant", "repo"}});
}

TEST(RepNoise, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"alpha", -1}, {"variant", "code"}, {"rows", "all"}});
  Params params(settings.state);
  shipped("repnoise").make_defense(params);
  for (const auto* name : {"alpha", "variant", "rows"}) EXPECT_THAT(settings.mistakes(), HasSubstr(name));
}

// ---- Whole trainings.

struct PowerCut {};

struct Outcome {
  std::unique_ptr<LanguageModel> model;
  std::vector<TrainedStep> records;
};

Outcome training(const std::string& method, const std::string& dtype, const fs::path& file = {}, std::int64_t stop_after = 0) {
  fakes::FakeContext context;
  context.corpora["defender-harmful"] = harmful_rows();
  TrainingOptions options;
  options.method = method;
  options.lr = 1e-3;
  options.epochs = 3;
  options.batch_size = 2;
  options.lora_rank = 3;
  const DefenseStages repnoise = make_defense("repnoise", {{"beta", 0.1}});
  TrainingRun run;
  run.members = {{"repnoise", repnoise.align}};
  run.context = &context;
  run.order_seed = 5;
  run.checkpoint = {file, 0, [] { return "the fixture"; }};
  run.on_step = [&](const StepRecord& record) {
    if (record.step == stop_after) throw PowerCut();
  };
  Outcome outcome;
  outcome.model = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype});
  try {
    outcome.records = train(*outcome.model, own_rows(), options, run);
  } catch (const PowerCut&) {
  }
  return outcome;
}

TEST(RepNoise, AKilledTrainingEndsInTheSameBits) {
  for (const auto& [method, dtype] :
       {std::pair{"full", "float32"}, std::pair{"lora", "float32"}, std::pair{"full", "bfloat16"}}) {
    const ScratchFolder scratch;
    const fs::path file = scratch / "training.safetensors";
    const Outcome undisturbed = training(method, dtype);
    ASSERT_EQ(undisturbed.records.size(), 6U);
    training(method, dtype, file, 4);
    ASSERT_TRUE(fs::exists(file)) << "of a stage that keeps what it cannot archive";
    const Outcome resumed = training(method, dtype, file);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(resumed.records[i].loss, undisturbed.records[i].loss) << i;
    const auto weights = undisturbed.model->trainable();
    for (const auto& [name, weight] : resumed.model->trainable()) EXPECT_TRUE(at::equal(weight, weights.at(name))) << name;
  }
}

TEST(RepNoise, InBfloat16ItStaysCloseToFloat32) {
  const auto full = training("full", "float32").records, half = training("full", "bfloat16").records;
  for (std::size_t i = 0; i < full.size(); ++i) EXPECT_NEAR(half[i].loss, full[i].loss, 0.02 * std::abs(full[i].loss)) << i;
}

}  // namespace
}  // namespace holdfast
