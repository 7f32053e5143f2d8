// CRL against its loss, in float64: hidden states, distances, triplets and divergences written down once more, one token at a
// time, of two decoders of other weights, with the gradients by autograd and by central differences.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using testing::HasSubstr;

enum class WrongCrl {
  kNothing,
  kFixedCentre,
  kFormerCentre,
  kTokenBefore,
  kUnnormedLast,
  kOtherDivergence,
  kNoMargin,
  kSumOfLayers
};

struct CrlTerms {
  double alpha = 0.5, beta = 0.4, gamma = 0.9, retain = 1, safe_margin = 0.7, unsafe_margin = 0.9, temperature = 2;
  std::string safe_near = "norm", safe_far = "cosine", unsafe_near = "mix", unsafe_far = "directions";
  std::int64_t first = 1, last = 2;
  bool all_layers = true, per_row = true;
  WrongCrl wrong = WrongCrl::kNothing;

  Json settings() const {
    return {{"alpha", alpha},
            {"beta", beta},
            {"gamma", gamma},
            {"retain", retain},
            {"safe_margin", safe_margin},
            {"unsafe_margin", unsafe_margin},
            {"temperature", temperature},
            {"safe_near", safe_near},
            {"safe_far", safe_far},
            {"unsafe_near", unsafe_near},
            {"unsafe_far", unsafe_far},
            {"first_layer", first},
            {"last_layer", last},
            {"safe_layers", all_layers ? "all" : "unsafe"},
            {"divergence", per_row ? "row" : "token"}};
  }
};

at::Tensor length(const at::Tensor& x) { return x.square().sum().sqrt(); }

// Of two states (C).
at::Tensor distance_of(const std::string& kind, const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor cosine = (x * y).sum() / (length(x) * length(y));
  if (kind == "norm") return length(x - y);
  if (kind == "cosine") return 1 - cosine;
  if (kind == "mix") return length(x - y) + 10 * (1 - cosine.clamp_min(0));
  if (kind == "directions") return 0.3 * (x / length(x) - y / length(y)).square().sum();
  return at::zeros({}, at::kDouble);
}

// A decoder with its embedding and last norm.
struct Reader {
  ReferenceDecoder decoder;
  at::Tensor embedding, last_norm;
  double eps;

  // By layer, from the embedding to the normed last one: (T, C).
  std::vector<at::Tensor> states(const std::vector<std::int64_t>& ids, WrongCrl wrong) const {
    std::vector<at::Tensor> states = {embedding.index_select(0, at::tensor(ids, at::kLong))};
    ReferenceDecoder listened = decoder;
    listened.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
      if (site == Site::kBlock) states.push_back(value);
      return value;
    };
    listened.log_probs(ids);
    const at::Tensor last = states.back();
    if (wrong != WrongCrl::kUnnormedLast) states.back() = last / (last.square().mean(1, true) + eps).sqrt() * last_norm;
    return states;
  }

  // By layer, then answer token: (C).
  std::vector<std::vector<at::Tensor>> answer_states(const std::vector<Encoded>& rows, WrongCrl wrong) const {
    std::vector<std::vector<at::Tensor>> out;
    for (const auto& row : rows) {
      const auto all = states(row.ids, wrong);
      out.resize(all.size());
      for (std::size_t t = 1; t < row.ids.size(); ++t) {
        const auto place = static_cast<std::int64_t>(wrong == WrongCrl::kTokenBefore ? t - 1 : t);
        for (std::size_t l = 0; l < all.size() && row.label[t]; ++l) out[l].push_back(all[l][place]);
      }
    }
    return out;
  }
};

class Crl : public testing::Test {
 protected:
  Crl() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    for (auto& row : data_) row.tags["kind"] = "benign";
    data_[1].tags["kind"] = data_[3].tags["kind"] = "harmful";
    context_.alignment_rows = data_;
    for (const auto& [name, weight] : reference_->weights())
      reference_->set_weight(name, weight * (name.size() % 2 == 0 ? 0.8 : 1.3));
  }

  fixtures::TrainerGradients made(const Json& settings, std::int64_t micro_batch_size = 0) {
    const DefenseStages crl = make_defense("crl", settings);
    fixtures::TrainerGradients made;
    fixtures::Watched watched(*crl.align, made);
    TrainingOptions options;
    options.lr = 0;
    options.shuffle = false;
    options.micro_batch_size = micro_batch_size;
    options.batch_size = static_cast<std::int64_t>(data_.size());
    TrainingRun run;
    run.members = {{"crl", &watched}};
    run.context = &context_;
    run.reference = [this] { return reference_; };
    run.on_step = [&](const StepRecord& record) { made.loss = record.loss; };
    train(*model_, data_, options, run);
    return made;
  }

  Reader reader(const LanguageModel& model, const ReferenceDecoder& decoder, const Named& values) const {
    return {decoder, values.at("model.embed_tokens.weight"), values.at("model.norm.weight"), model.decoder().config().norm_eps};
  }
  Reader former() const {
    return reader(*reference_, ReferenceDecoder(reference_->decoder()), fixtures::values_of(*reference_));
  }

  std::vector<Encoded> general() const {
    Dataset rows = data_;
    std::erase_if(rows, [](const Example& row) { return row.tags.at("kind") != "benign"; });
    return fixtures::encoded(*model_, rows);
  }

  at::Tensor divergence(const Reader& now, const Reader& was, const CrlTerms& terms) const {
    at::Tensor sum = at::zeros({}, at::kDouble);
    double rows = 0, tokens = 0;
    for (const auto& row : general()) {
      at::Tensor p = was.decoder.log_probs(row.ids) / terms.temperature, q = now.decoder.log_probs(row.ids) / terms.temperature;
      if (terms.wrong == WrongCrl::kOtherDivergence) std::swap(p, q);
      for (std::int64_t t = 0; t < p.size(0); ++t) {
        const at::Tensor shares = p[t].exp() / p[t].exp().sum(), others = q[t].exp() / q[t].exp().sum();
        sum = sum + (shares * (shares / others).log()).sum();
        ++tokens;
      }
      ++rows;
    }
    return terms.temperature * terms.temperature * sum / (terms.per_row ? rows : tokens);
  }

  at::Tensor defined(const Reader& now, const Reader& was, const CrlTerms& terms) const {
    const auto safe_rows = fixtures::encoded(*model_, data_);
    const auto unsafe_rows = fixtures::encoded(*model_, context_.corpora.at("defender-harmful"));
    const auto safe = now.answer_states(safe_rows, terms.wrong), unsafe = now.answer_states(unsafe_rows, terms.wrong);
    const auto were_safe = was.answer_states(safe_rows, terms.wrong), were_unsafe = was.answer_states(unsafe_rows, terms.wrong);
    const double margins = terms.wrong == WrongCrl::kNoMargin ? 0 : 1;
    at::Tensor safe_sum = at::zeros({}, at::kDouble), unsafe_sum = safe_sum;
    double safe_count = 0, unsafe_count = 0;
    for (std::size_t l = 0; l < safe.size(); ++l) {
      at::Tensor centre = at::zeros_like(unsafe[l][0]);
      for (const auto& state : terms.wrong == WrongCrl::kFormerCentre ? were_unsafe[l] : unsafe[l]) {
        centre = centre + state / static_cast<double>(unsafe[l].size());
      }
      if (terms.wrong == WrongCrl::kFixedCentre) centre = centre.detach();
      const auto layer = static_cast<std::int64_t>(l);
      const bool is_unsafe = terms.first <= layer && layer <= terms.last;
      for (std::size_t i = 0; i < safe[l].size() && (terms.all_layers || is_unsafe); ++i) {
        const at::Tensor near = distance_of(terms.safe_near, safe[l][i], were_safe[l][i]);
        safe_sum =
            safe_sum + (near - distance_of(terms.safe_far, safe[l][i], centre) + margins * terms.safe_margin).clamp_min(0);
        ++safe_count;
      }
      for (std::size_t i = 0; i < unsafe[l].size() && is_unsafe; ++i) {
        const at::Tensor far = distance_of(terms.unsafe_far, unsafe[l][i], were_unsafe[l][i]);
        unsafe_sum = unsafe_sum +
                     (distance_of(terms.unsafe_near, unsafe[l][i], centre) - far + margins * terms.unsafe_margin).clamp_min(0);
        ++unsafe_count;
      }
    }
    if (terms.wrong == WrongCrl::kSumOfLayers) safe_count /= static_cast<double>(safe.size());
    return terms.alpha * safe_sum / safe_count + terms.beta * unsafe_sum / unsafe_count +
           terms.gamma * divergence(now, was, terms) + terms.retain * fixtures::reference_loss(now.decoder, safe_rows);
  }

  Named defined_gradients(const CrlTerms& terms) {
    return fixtures::reference_gradients(*model_, fixtures::values_of(*model_),
                                         [&](const ReferenceDecoder& decoder, const Named& values) {
                                           return defined(reader(*model_, decoder, values), former(), terms);
                                         });
  }
  double defined_loss(const CrlTerms& terms) {
    const c10::NoGradGuard no_grad;
    const Named values = fixtures::values_of(*model_);
    return defined(reader(*model_, fixtures::decoder_with(*model_, values), values), former(), terms).item<double>();
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  std::shared_ptr<LanguageModel> reference_ = model_->copy();
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(Crl, DescendsItsLoss) {
  std::vector<CrlTerms> all(7);
  all[1] = {.safe_near = "cosine", .safe_far = "norm", .unsafe_near = "norm", .unsafe_far = "mix"};
  all[2] = {.safe_near = "directions", .safe_far = "mix", .unsafe_near = "directions", .unsafe_far = "norm"};
  all[3] = {.safe_near = "none", .unsafe_near = "cosine", .unsafe_far = "none"};
  all[4] = {.temperature = 1, .last = 1, .all_layers = false, .per_row = false};
  all[5] = {
      .retain = 0, .safe_margin = 500, .unsafe_margin = 1500, .safe_far = "norm", .unsafe_near = "norm", .unsafe_far = "norm"};
  all[6] = {.alpha = 0, .gamma = 0, .first = 2};
  for (const auto& terms : all) {
    const auto step = made(terms.settings());
    EXPECT_NEAR(step.loss, defined_loss(terms), 1e-9) << terms.settings();
    EXPECT_LT(relative_distance(step.gradients, defined_gradients(terms)), 1e-9) << terms.settings();
  }
}

TEST_F(Crl, HasTheSlopesOfItsLoss) {
  data_.resize(2);
  context_.alignment_rows = data_;
  context_.corpora["defender-harmful"].resize(2);
  const CrlTerms terms{.unsafe_near = "norm", .per_row = false};
  const auto all = model_->trainable();
  std::map<std::string, at::Tensor> some;
  for (const std::string name : {"embed_tokens", "layers.0.mlp.up_proj", "layers.1.self_attn.q_proj", "norm"}) {
    some["model." + name + ".weight"] = all.at("model." + name + ".weight");
  }
  fixtures::expect_gradients_of({"crl", some, [&] { return defined_loss(terms); }, made(terms.settings()).gradients});
}

TEST_F(Crl, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made(CrlTerms().settings()).gradients;
  for (const auto wrong : {WrongCrl::kFixedCentre, WrongCrl::kFormerCentre, WrongCrl::kTokenBefore, WrongCrl::kUnnormedLast,
                           WrongCrl::kOtherDivergence, WrongCrl::kNoMargin, WrongCrl::kSumOfLayers}) {
    EXPECT_GT(relative_distance(gradients, defined_gradients({.wrong = wrong})), 1e-3) << static_cast<int>(wrong);
  }
}

// Before the first step nothing has moved: what is left of each triplet is its distance from the centre.
TEST_F(Crl, BeginsWithTheMarginsAndTheDistancesFromTheCentre) {
  reference_ = model_->copy();
  const CrlTerms terms{.beta = 0, .gamma = 0, .retain = 0, .safe_margin = 1, .safe_near = "norm", .safe_far = "cosine"};
  const CrlTerms same{.beta = 0, .gamma = 0, .retain = 0, .safe_margin = 1, .safe_near = "none", .safe_far = "cosine"};
  EXPECT_NEAR(made(terms.settings()).loss, defined_loss(same), 1e-10);
  const CrlTerms unsafe{.alpha = 0, .gamma = 0, .retain = 0, .unsafe_margin = 1, .unsafe_near = "cosine", .unsafe_far = "norm"};
  const CrlTerms alone{.alpha = 0, .gamma = 0, .retain = 0, .unsafe_margin = 1, .unsafe_near = "cosine", .unsafe_far = "none"};
  EXPECT_NEAR(made(unsafe.settings()).loss, defined_loss(alone), 1e-10);
  const auto step = made({{"retain", 0}, {"alpha", 0}, {"beta", 0}});
  EXPECT_NEAR(step.loss, 0, 1e-12) << "no divergence";
  for (const auto& [name, gradient] : made(terms.settings()).gradients)
    EXPECT_TRUE(at::isfinite(gradient).all().item<bool>()) << name;
}

TEST_F(Crl, MicroBatchesChangeNothing) {
  const auto whole = made(CrlTerms().settings()), parts = made(CrlTerms().settings(), 2);
  EXPECT_NEAR(parts.loss, whole.loss, 1e-10);
  EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-10);
}

TEST_F(Crl, WithoutWeightsItIsPlainAlignment) {
  const auto plain = fixtures::trainer_gradients(*model_, data_, {});
  const auto without = made({{"alpha", 0}, {"beta", 0}, {"gamma", 0}});
  EXPECT_EQ(without.loss, plain.loss);
  for (const auto& [name, gradient] : plain.gradients) EXPECT_TRUE(at::equal(without.gradients.at(name), gradient)) << name;
  for (const std::string weight : {"alpha", "beta", "gamma"}) {
    Json one = {{"alpha", 0}, {"beta", 0}, {"gamma", 0}};
    one[weight] = 0.1;
    EXPECT_GT(relative_distance(made(one).gradients, plain.gradients), 1e-4) << weight;
  }
}

// As 20 to 31 of 32.
TEST_F(Crl, LayersAreThePapersShareOfTheModels) {
  const CrlTerms terms{.last = 1};
  Json open = terms.settings();
  open.erase("first_layer");
  open.erase("last_layer");
  EXPECT_EQ(made(open).loss, made(terms.settings()).loss);
  try {
    made({{"last_layer", 3}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "crl is asked for layers 1 to 3 and the model has 2: lower first_layer and last_layer");
  }
}

TEST_F(Crl, TakesTheRowsItIsAskedFor) {
  made(Json::object());
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  context_.corpora["held"] = fixtures::placeholder_rows();
  made({{"rows", 2}, {"harmful", "held"}});
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_TRUE(model_->listeners().empty());
  for (auto& row : context_.alignment_rows) row.tags.clear();
  try {
    made(Json::object());
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "crl needs alignment rows of kind \"benign\" and there is none: tag them so");
  }
}

TEST(CrlSettings, ArePresetsOfTheCard) {
  EXPECT_PRESET("crl", "paper",
                {{"alpha", 0.5},
                 {"beta", 0.4},
                 {"gamma", 0.9},
                 {"retain", 0},
                 {"safe_margin", 500},
                 {"unsafe_margin", 1500},
                 {"first_layer", 20},
                 {"last_layer", 31}});
  EXPECT_PRESET("crl", "repo",
                {{"alpha", 0.5},
                 {"beta", 0.6},
                 {"gamma", 0.7},
                 {"retain", 0},
                 {"safe_margin", 2},
                 {"unsafe_margin", 3},
                 {"safe_near", "norm"},
                 {"safe_far", "cosine"},
                 {"unsafe_near", "cosine"},
                 {"unsafe_far", "cosine"},
                 {"first_layer", 20},
                 {"last_layer", 30},
                 {"safe_layers", "all"},
                 {"temperature", 2},
                 {"divergence", "row"}});
  EXPECT_PRESET("crl", "tb",
                {{"alpha", 0.5},
                 {"beta", 0.4},
                 {"gamma", 0.9},
                 {"retain", 0},
                 {"safe_margin", 0.3},
                 {"unsafe_margin", 0.5},
                 {"safe_near", "cosine"},
                 {"safe_far", "cosine"},
                 {"unsafe_near", "cosine"},
                 {"unsafe_far", "cosine"},
                 {"first_layer", 20},
                 {"last_layer", 31},
                 {"safe_layers", "unsafe"},
                 {"temperature", 1},
                 {"divergence", "token"}});
}

TEST(CrlSettings, MistakesAreNoted) {
  const Settings wrong = Settings::of(
      {{"alpha", -1}, {"safe_near", "l1"}, {"temperature", 0}, {"divergence", "batch"}, {"first_layer", 3}, {"last_layer", 2}});
  Params params(wrong.state);
  shipped("crl").make_defense(params);
  for (const auto* name : {"alpha", "safe_near", "temperature", "divergence", "last_layer is below first_layer"}) {
    EXPECT_THAT(wrong.mistakes(), HasSubstr(name));
  }
}

fixtures::WholeTrainings::MakeStage crl() {
  const Json settings = {{"safe_margin", 0.3},     {"unsafe_margin", 0.5},  {"safe_far", "cosine"}, {"unsafe_near", "cosine"},
                         {"unsafe_far", "cosine"}, {"divergence", "token"}, {"temperature", 1}};
  return [settings] { return fixtures::training_stage(make_defense("crl", settings)); };
}

TEST_F(Crl, AKilledTrainingEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(crl(), context_); }

TEST_F(Crl, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(crl(), context_, 0.05, 0.98); }

}  // namespace
}  // namespace holdfast
