// Antidote against its rule: scores by loops over a decoder written down once more, one row and one entry at a time.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/reference_decoder.h"
#include "plugin/presets.h"

namespace holdfast {
namespace {

using fixtures::waves;
using testing::HasSubstr;

const std::vector<std::string> kLinears = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

std::string weight_name(std::int64_t layer, const std::string& linear) {
  const bool of_attention = linear.size() == 6;  // "q_proj" and its like
  return "model.layers." + std::to_string(layer) + (of_attention ? ".self_attn." : ".mlp.") + linear + ".weight";
}

class AntidoteOfADecoder : public testing::Test {
 protected:
  enum class Wrong { kNothing, kLowest, kWholeMatrix, kNoInputs, kMeanOfLengths, kInputsOfTheAligned };

  AntidoteOfADecoder() {
    context_.aligned = aligned_.get();
    context_.corpora["defender-harmful"] = fixtures::trained_rows();
    for (std::int64_t layer = 0; layer < tuned_->layers(); ++layer) {
      for (const auto& linear : kLinears) {
        const std::string name = weight_name(layer, linear);
        const at::Tensor weight = aligned_->weights().at(name);
        tuned_->set_weight(name, weight + waves(weight.sizes(), static_cast<double>(name.size()) + 0.3).mul(0.1));
      }
    }
  }

  std::unique_ptr<LanguageModel> repaired(const Json& settings) {
    auto made = tuned_->copy();
    make_defense("antidote", settings).repair->repair(*made, context_);
    return made;
  }

  // sqrt(mean over rows of the sum over tokens of x_j^2), by the name of the linear's weight.
  std::map<std::string, std::vector<double>> inputs(const LanguageModel& model, Wrong wrong) const {
    std::map<std::string, std::vector<double>> found;
    const double rows = static_cast<double>(context_.corpora.at("defender-harmful").size());
    for (const auto& row : context_.corpora.at("defender-harmful")) {
      fixtures::ReferenceDecoder decoder(model.decoder());
      decoder.visit = [&](Site site, std::int64_t layer, const std::string& linear, const at::Tensor& value) {
        if (site != Site::kLinearInput) return value;
        auto& sums = found[weight_name(layer, linear)];
        sums.resize(static_cast<std::size_t>(value.size(1)));
        const double tokens = wrong == Wrong::kMeanOfLengths ? static_cast<double>(value.size(0)) : 1;
        for (std::int64_t t = 0; t < value.size(0); ++t) {
          for (std::int64_t j = 0; j < value.size(1); ++j) {
            sums[static_cast<std::size_t>(j)] += std::pow(value[t][j].item<double>(), 2) / tokens / rows;
          }
        }
        return value;
      };
      decoder.log_probs(model.encode(row.messages).ids);
    }
    for (auto& [name, sums] : found) {
      for (auto& sum : sums) sum = wrong == Wrong::kNoInputs ? 1 : std::sqrt(sum);
    }
    return found;
  }

  // Every weight as the rule leaves it.
  NamedTensors defined(const std::vector<std::string>& linears, double dense, bool change,
                       Wrong wrong = Wrong::kNothing) const {
    const c10::NoGradGuard no_grad;
    const auto norms = inputs(wrong == Wrong::kInputsOfTheAligned ? *aligned_ : *tuned_, wrong);
    NamedTensors wanted;
    for (const auto& [name, weight] : tuned_->weights()) wanted[name] = weight.clone();
    for (std::int64_t layer = 0; layer < tuned_->layers(); ++layer) {
      for (const auto& linear : linears) {
        const std::string name = weight_name(layer, linear);
        at::Tensor weight = wanted.at(name);
        const at::Tensor before = change ? aligned_->weights().at(name) : at::zeros_like(weight);
        struct Entry {
          double score;
          std::int64_t row, column;
        };
        std::vector<std::vector<Entry>> groups;
        for (std::int64_t i = 0; i < weight.size(0); ++i) {
          if (i == 0 || wrong != Wrong::kWholeMatrix) groups.emplace_back();
          for (std::int64_t j = 0; j < weight.size(1); ++j) {
            const double part = (weight[i][j] - before[i][j]).item<double>();
            groups.back().push_back({std::abs(part) * norms.at(name)[static_cast<std::size_t>(j)], i, j});
          }
        }
        for (auto& group : groups) {
          std::stable_sort(group.begin(), group.end(), [&](const Entry& a, const Entry& b) {
            return wrong == Wrong::kLowest ? a.score > b.score : a.score < b.score;
          });
          const auto kept = static_cast<std::size_t>(static_cast<double>(group.size()) * (1 - dense));
          for (std::size_t k = kept; k < group.size(); ++k) {
            weight[group[k].row][group[k].column] = before[group[k].row][group[k].column].item<double>();
          }
        }
      }
    }
    return wanted;
  }

  static std::int64_t differing(const LanguageModel& made, const NamedTensors& wanted) {
    std::int64_t count = 0;
    for (const auto& [name, weight] : wanted) count += (made.weights().at(name) != weight).sum().item<std::int64_t>();
    return count;
  }

  std::unique_ptr<LanguageModel> aligned_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> tuned_ = aligned_->copy();
  fakes::FakeContext context_;
};

TEST_F(AntidoteOfADecoder, TakesOutTheHighestScoresOfEachRow) {
  for (const bool change : {true, false}) {
    for (const double dense : {0.1, 0.35}) {
      const auto made = repaired({{"target", change ? "change" : "weights"}, {"dense_ratio", dense}, {"linears", kLinears}});
      EXPECT_EQ(differing(*made, defined(kLinears, dense, change)), 0) << change << " " << dense;
      EXPECT_GT(differing(*made, tuned_->weights()), 100);
    }
  }
}

TEST_F(AntidoteOfADecoder, IsNoVariantOfIt) {
  const auto made = repaired({{"linears", kLinears}});
  for (const auto wrong :
       {Wrong::kLowest, Wrong::kWholeMatrix, Wrong::kNoInputs, Wrong::kMeanOfLengths, Wrong::kInputsOfTheAligned}) {
    EXPECT_GT(differing(*made, defined(kLinears, 0.1, true, wrong)), 0) << static_cast<int>(wrong);
  }
  EXPECT_GT(differing(*made, defined(kLinears, 0.1, false)), 0);
}

TEST_F(AntidoteOfADecoder, ActsOnTheProjectionsOfAttentionUnlessTold) {
  const auto made = repaired(Json::object());
  EXPECT_EQ(differing(*made, defined({"q_proj", "k_proj", "v_proj"}, 0.1, true)), 0);
  // 32 columns: int(32 * 0.9) = 28 stay, so that an eighth goes; 2 layers of 32 + 16 + 16 rows.
  EXPECT_EQ(context_.reports.at("entries-taken-out").value, 2 * 64 * 4);
  EXPECT_EQ(context_.reports.at("entries-taken-out").n, 2 * 64 * 32);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 7);
  EXPECT_TRUE(made->listeners().empty());
}

TEST_F(AntidoteOfADecoder, NothingAndEverything) {
  EXPECT_EQ(differing(*repaired({{"dense_ratio", 0}}), tuned_->weights()), 0);
  const auto all = repaired({{"dense_ratio", 1}, {"target", "weights"}, {"linears", {"o_proj"}}});
  EXPECT_FALSE(all->weights().at(weight_name(1, "o_proj")).any().item<bool>());
  EXPECT_EQ(differing(*repaired({{"dense_ratio", 1}, {"linears", kLinears}}), aligned_->weights()), 0);
}

TEST_F(AntidoteOfADecoder, DoesNotDependOnTheBatches) {
  NamedTensors whole;
  for (const auto& [batch, micro] : {std::pair{7, 0}, std::pair{2, 0}, std::pair{7, 1}}) {
    context_.finetune.batch_size = batch;
    context_.finetune.micro_batch_size = micro;
    const auto made = repaired(Json::object());
    if (whole.empty()) whole = made->weights();
    EXPECT_EQ(differing(*made, whole), 0) << batch << " " << micro;
  }
}

TEST_F(AntidoteOfADecoder, ReadsRowsAsFarAsTheTuningDid) {
  context_.finetune.max_length = 12;
  const auto cut = repaired(Json::object());
  context_.finetune.max_length = 1024;
  EXPECT_GT(differing(*cut, repaired(Json::object())->weights()), 0);
}

TEST_F(AntidoteOfADecoder, TakesTheRowsItIsAskedFor) {
  context_.corpora["other"] = fixtures::trained_rows();
  const auto some = repaired({{"rows", 2}, {"harmful", "other"}});
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_GT(differing(*some, repaired(Json::object())->weights()), 0);
  EXPECT_EQ(differing(*some, repaired({{"rows", 2}, {"harmful", "other"}})->weights()), 0);
  const auto refused = [&](const Json& settings) {
    try {
      repaired(settings);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(refused({{"rows", 8}}), "antidote was asked for 8 rows and the corpus \"defender-harmful\" has 7: lower \"rows\"");
  EXPECT_THAT(refused({{"linears", {"q_prj"}}}), HasSubstr("Did you mean \"q_proj\"?"));
  context_.corpora["other"].clear();
  EXPECT_EQ(refused({{"harmful", "other"}}), "antidote scores entries on harmful rows and \"other\" has none");
}

TEST_F(AntidoteOfADecoder, InBfloat16ItStaysCloseToFloat32) {
  std::map<std::string, NamedTensors> out;  // which entries went
  for (const std::string dtype : {"float32", "bfloat16"}) {
    const auto model = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype});
    make_defense("antidote", {{"target", "weights"}, {"dense_ratio", 0.3}}).repair->repair(*model, context_);
    for (const auto& [name, weight] : model->weights()) out[dtype][name] = weight == 0;
  }
  std::int64_t gone = 0, other = 0;
  for (const auto& [name, mask] : out["float32"]) {
    gone += mask.sum().item<std::int64_t>();
    other += (mask != out["bfloat16"].at(name)).sum().item<std::int64_t>();
  }
  EXPECT_GT(gone, 1000);
  EXPECT_LT(other, gone / 25);
}

TEST(Antidote, NeedsTheAlignedModelForChanges) {
  EXPECT_EQ(make_defense("antidote").repair->needs(), kNeedsAligned);
  EXPECT_EQ(make_defense("antidote", {{"target", "weights"}}).repair->needs(), 0U);
  EXPECT_EQ(shipped("antidote").stages, kStageRepair);
}

TEST(Antidote, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("antidote", "repo", {{"dense_ratio", 0.1}});
  EXPECT_PRESET("antidote", "script", {{"dense_ratio", 0.2}});
  EXPECT_PRESET("antidote", "weights", {{"dense_ratio", 0.1}, {"target", "weights"}});
}

TEST(Antidote, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"dense_ratio", 1.5}, {"target", "adapter"}, {"linears", Json::array()}});
  Params params(settings.state);
  shipped("antidote").make_defense(params);
  for (const auto* name : {"dense_ratio", "target", "linears"}) EXPECT_THAT(settings.mistakes(), HasSubstr(name));
}

}  // namespace
}  // namespace holdfast
