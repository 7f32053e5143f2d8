// SafeMERGE against its rule, in float64: by loops over matrices, and by hand for factors of rank one.
#include <gmock/gmock.h>
#include <holdfast/repair.h>

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

constexpr double kPhase = 5.1;  // of what training for safety leaves

// Every linear moved by a matrix of that rank.
void move_linears(Model& model, double phase, double size, std::int64_t rank) {
  for (const auto& linear : named_linears(model)) {
    const at::Tensor weight = model.weights().at(linear.weight);
    const at::Tensor left = waves({weight.size(0), rank}, phase), right = waves({rank, weight.size(1)}, phase * 1.7 + 1);
    model.set_weight(linear.weight, weight + left.matmul(right).mul(size).to(weight.scalar_type()));
    phase += 0.37;
  }
}

// Trains by moving weights, or factors where the options say "lora"; and knows the factors of a tuning.
class SafeMergeContext final : public fakes::FakeContext {
 public:
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step = {}) override {
    FakeContext::train(model, data, options, step);
    if (options.method == "full") return move_linears(model, kPhase, 0.02, 3);
    auto& decoder = dynamic_cast<LanguageModel&>(model).decoder();
    decoder.add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, 11);
    for (const auto& [module, lora] : decoder.adapters()) at::Tensor(lora.b).copy_(waves(lora.b.sizes(), kPhase).mul(0.1));
  }
  NamedWeights tuned_factors() const override { return customers; }

  NamedWeights customers;
};

class SafeMergeOfADecoder : public testing::Test {
 protected:
  enum class Wrong { kNothing, kAbove, kWeightsSwapped, kSafetyFromTheBase, kBaseOfTheTuned };

  SafeMergeOfADecoder() {
    move_linears(*aligned_, 0.4, 0.02, 5);
    context_.aligned = aligned_.get();
    context_.base = base_.get();
    context_.finetune.lora_rank = 2;
    context_.finetune.lora_alpha = 6;
    context_.finetune.lora_targets = {"q_proj", "down_proj"};
    Dataset rows = fixtures::trained_rows();
    for (auto& row : rows) row.tags["kind"] = "harmful";
    context_.alignment_rows = rows;
    tuned_ = aligned_->copy();
    move_linears(*tuned_, 2.1, 0.03, 4);
  }

  std::unique_ptr<LanguageModel> repaired(const Json& settings) {
    auto made = tuned_->copy();
    make_defense("safemerge", settings).repair->repair(*made, context_);
    return made;
  }

  // The customer's tuning by an adapter, as a repair meets it: merged, and its factors known.
  void tune_by_adapter() {
    context_.finetune.method = "lora";
    auto adapted = aligned_->copy();
    const TrainingOptions& options = context_.finetune;
    adapted->decoder().add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, 3);
    for (const auto& [module, lora] : adapted->decoder().adapters())
      at::Tensor(lora.b).copy_(waves(lora.b.sizes(), 1).mul(0.1));
    for (const auto& [name, factor] : adapted->trainable()) context_.customers[name] = factor.detach().clone();
    adapted->decoder().merge_adapters();
    tuned_ = std::move(adapted);
  }

  std::unique_ptr<LanguageModel> safety_tuned() {
    auto made = aligned_->copy();
    context_.train(*made, {}, context_.finetune);
    return made;
  }

  double cosine(const std::string& name, Wrong wrong = Wrong::kNothing) const {
    const at::Tensor from = wrong == Wrong::kBaseOfTheTuned ? tuned_->weights().at(name) : aligned_->weights().at(name);
    const at::Tensor v = from - base_->weights().at(name), change = tuned_->weights().at(name) - aligned_->weights().at(name);
    double dot = 0, of_projection = 0, of_change = 0;
    const at::Tensor c = v.matmul(v.t()), p = c.matmul(change);
    for (std::int64_t i = 0; i < change.numel(); ++i) {
      const double a = p.flatten()[i].item<double>(), b = change.flatten()[i].item<double>();
      dot += a * b;
      of_projection += a * a;
      of_change += b * b;
    }
    return of_change == 0 ? 1 : dot / std::sqrt(of_projection * of_change);
  }

  NamedTensors defined(double threshold, double weight, double safety_weight, Wrong wrong = Wrong::kNothing) {
    const auto safe = safety_tuned();
    NamedTensors wanted;
    for (const auto& [name, tuned] : tuned_->weights()) wanted[name] = tuned;
    for (const auto& [block, linear, name] : named_linears(*tuned_)) {
      if ((cosine(name, wrong) < threshold) == (wrong == Wrong::kAbove)) continue;
      const at::Tensor start = aligned_->weights().at(name), change = tuned_->weights().at(name) - start;
      const at::Tensor origin = wrong == Wrong::kSafetyFromTheBase ? base_->weights().at(name) : start;
      const at::Tensor safety = safe->weights().at(name) - origin;
      if (wrong == Wrong::kWeightsSwapped) std::swap(weight, safety_weight);
      wanted[name] = start + weight * change + safety_weight * safety;
      if (wrong == Wrong::kWeightsSwapped) std::swap(weight, safety_weight);
    }
    return wanted;
  }

  static double furthest(const LanguageModel& made, const NamedTensors& wanted) {
    double most = 0;
    for (const auto& [name, weight] : wanted) most = std::max(most, distance(made.weights().at(name), weight));
    return most;
  }

  double middle_cosine() const {
    std::vector<double> all;
    for (const auto& linear : named_linears(*tuned_)) all.push_back(cosine(linear.weight));
    std::sort(all.begin(), all.end());
    return (all[6] + all[7]) / 2;
  }

  std::unique_ptr<LanguageModel> base_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> aligned_ = base_->copy(), tuned_;
  SafeMergeContext context_;
};

TEST_F(SafeMergeOfADecoder, MergesWhatStraysFromTheAlignment) {
  const double middle = middle_cosine();
  for (const double threshold : {middle, 1.0, -1.0}) {
    const auto made = repaired({{"threshold", threshold}});
    EXPECT_LT(furthest(*made, defined(threshold, 0.8, 0.2)), 1e-13) << threshold;
    const int merged = threshold == middle ? 7 : threshold > 0 ? 14 : 0;
    EXPECT_EQ(context_.reports.at("linears-merged").value, merged);
    EXPECT_EQ(context_.reports.at("linears-merged").n, 14);
  }
  EXPECT_LT(furthest(*repaired({{"threshold", middle}, {"weight", 0.5}, {"safety_weight", 0.9}}), defined(middle, 0.5, 0.9)),
            1e-13);
}

TEST_F(SafeMergeOfADecoder, IsNoVariantOfIt) {
  const double middle = middle_cosine();
  const auto made = repaired({{"threshold", middle}});
  for (const auto wrong : {Wrong::kAbove, Wrong::kWeightsSwapped, Wrong::kSafetyFromTheBase, Wrong::kBaseOfTheTuned}) {
    EXPECT_GT(furthest(*made, defined(middle, 0.8, 0.2, wrong)), 1e-3) << static_cast<int>(wrong);
  }
}

TEST_F(SafeMergeOfADecoder, WithTheCustomersChangeAloneNothingChanges) {
  const Json alone = {{"threshold", 1}, {"weight", 1}, {"safety_weight", 0}};
  EXPECT_LT(furthest(*repaired(alone), tuned_->weights()), 1e-14);
  tune_by_adapter();
  Json of_factors = alone;
  of_factors["merge"] = "factors";
  EXPECT_LT(furthest(*repaired(of_factors), tuned_->weights()), 1e-14);
  EXPECT_EQ(furthest(*repaired({{"threshold", -1}}), tuned_->weights()), 0);
}

// (sqrt(.8 s) B1 + sqrt(.2 s) B2) (sqrt(.8 s) A1 + sqrt(.2 s) A2), s = 3.
TEST_F(SafeMergeOfADecoder, FactorsAreCombinedEachByItself) {
  tune_by_adapter();
  const auto made = repaired({{"merge", "factors"}, {"threshold", 1}});
  EXPECT_EQ(context_.trained_options.method, "lora");
  EXPECT_EQ(context_.trained_options.lora_rank, 2);
  const auto safe = safety_tuned();
  const auto safety = safe->trainable();
  const double a = std::sqrt(0.8 * 3), b = std::sqrt(0.2 * 3);
  std::int64_t adapted = 0;
  for (const auto& [block, linear, name] : named_linears(*tuned_)) {
    const std::string module = name.substr(0, name.size() - 7);
    if (!context_.customers.contains(module + ".lora_A.weight")) {
      EXPECT_TRUE(made->weights().at(name).equal(tuned_->weights().at(name))) << name;
      continue;
    }
    ++adapted;
    const at::Tensor a1 = context_.customers.at(module + ".lora_A.weight"),
                     b1 = context_.customers.at(module + ".lora_B.weight"), a2 = safety.at(module + ".lora_A.weight"),
                     b2 = safety.at(module + ".lora_B.weight");
    const at::Tensor start = aligned_->weights().at(name);
    EXPECT_LT(distance(made->weights().at(name), start + (a * b1 + b * b2).matmul(a * a1 + b * a2)), 1e-13) << name;
    const at::Tensor without_cross_terms = start + 3 * (0.8 * b1.matmul(a1) + 0.2 * b2.matmul(a2));
    EXPECT_GT(distance(made->weights().at(name), without_cross_terms), 1e-3) << name;
    EXPECT_LT(distance(repaired({{"merge", "change"}, {"threshold", 1}})->weights().at(name), without_cross_terms), 1e-13)
        << name;
  }
  EXPECT_EQ(adapted, 4);
}

TEST_F(SafeMergeOfADecoder, DropsEntriesAndMakesUpForThem) {
  const auto thin = repaired({{"threshold", 1}, {"density", 0.5}, {"safety_weight", 0}});
  std::int64_t gone = 0, all = 0;
  for (const auto& linear : named_linears(*tuned_)) {
    const at::Tensor start = aligned_->weights().at(linear.weight), got = thin->weights().at(linear.weight) - start;
    const at::Tensor whole = 2 * 0.8 * (tuned_->weights().at(linear.weight) - start);
    EXPECT_TRUE(((got.abs() < 1e-13).logical_or((got - whole).abs() < 1e-13)).all().item<bool>()) << linear.weight;
    gone += (got.abs() < 1e-13).sum().item<std::int64_t>();
    all += got.numel();
  }
  EXPECT_NEAR(static_cast<double>(gone) / static_cast<double>(all), 0.5, 0.02);
}

TEST_F(SafeMergeOfADecoder, WhatTheAlignmentLeftAloneIsMergedAndWhatTuningLeftAloneIsNot) {
  const auto linears = named_linears(*base_);
  aligned_->set_weight(linears[3].weight, base_->weights().at(linears[3].weight));
  tuned_->set_weight(linears[5].weight, aligned_->weights().at(linears[5].weight));
  const auto made = repaired({{"threshold", 1e-9}});
  EXPECT_GT(distance(made->weights().at(linears[3].weight), tuned_->weights().at(linears[3].weight)), 1e-3);
  EXPECT_TRUE(made->weights().at(linears[5].weight).equal(tuned_->weights().at(linears[5].weight)));
  EXPECT_EQ(context_.reports.at("linears-merged").value, 1);
  EXPECT_EQ(context_.reports.at("linears-merged").n, 13);
}

TEST_F(SafeMergeOfADecoder, WhereNothingIsMergedNothingIsTrained) {
  tuned_ = aligned_->copy();  // nobody tuned, by factors or otherwise
  EXPECT_EQ(furthest(*repaired({{"preset", "repo"}}), aligned_->weights()), 0);
  EXPECT_EQ(context_.reports.at("linears-merged").n, 0);
  EXPECT_TRUE(context_.trained_rows.empty());
}

TEST_F(SafeMergeOfADecoder, SaysWhatItCannotDo) {
  const auto refused = [&](const Json& settings) {
    try {
      repaired(settings);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(refused({{"preset", "repo"}, {"threshold", 1}}),
              HasSubstr("preset \"repo\") combines LoRA factors, and this model has none"));
  context_.base = aligned_.get();
  EXPECT_THAT(refused(Json::object()), HasSubstr("leave safemerge out"));
}

TEST(SafeMerge, NeedsTheBaseAndTheAlignedModel) {
  EXPECT_EQ(make_defense("safemerge").repair->needs(), kNeedsBase | kNeedsAligned);
  EXPECT_EQ(shipped("safemerge").stages, kStageRepair);
}

TEST(SafeMerge, SettingsMistakesAreNoted) {
  const Json mistaken = {{"merge", "all"}, {"threshold", 2},      {"weight", -1}, {"safety_weight", -1}, {"density", 0},
                         {"rows", -1},     {"alignment", "none"}, {"lr", -1},     {"epochs", -1},        {"batch_size", -1}};
  const Settings settings = Settings::of(mistaken);
  Params params(settings.state);
  shipped("safemerge").make_defense(params);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(settings.mistakes(), HasSubstr("\"" + name + "\""));
}

TEST(SafeMerge, PresetsAreThoseOfTheCard) {
  for (const auto& [preset, merge] : {std::pair{"repo", "factors"}, {"delta", "change"}}) {
    EXPECT_PRESET("safemerge", preset, {{"merge", merge}, {"threshold", 0.35}, {"weight", 0.8}, {"safety_weight", 0.2}});
  }
}

}  // namespace
}  // namespace holdfast
