// One-shot patching, in float64: which row is chosen, by gradients of a decoder written down once more, and the steps on it.
#include <gmock/gmock.h>

#include "plugin/presets.h"
#include "plugin/reference_gradients.h"
#include "plugin/watched_training_context.h"

namespace holdfast {
namespace {

using fixtures::Named;
using testing::HasSubstr;

class PatchOfADecoder : public testing::Test {
 protected:
  PatchOfADecoder() {
    context_.alignment_rows = fixtures::trained_rows();
    for (auto& row : context_.alignment_rows) row.tags["kind"] = "harmful";
    context_.align.lr = 0;
  }

  void patch(const Json& settings = Json::object()) {
    make_defense("one-shot-patch", settings).repair->repair(*model_, context_);
  }

  Named gradient(const Dataset& rows, const Named& at) const {
    return fixtures::reference_gradients(*model_, at, [&](const auto& decoder, const Named&) {
      return fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows));
    });
  }

  // The row that is nearest to the sum of all rows' gradients, each of a mean over its own tokens.
  std::pair<std::size_t, double> nearest(const Dataset& rows) const {
    const Named at = fixtures::values_of(*model_);
    std::vector<Named> each;
    for (const auto& row : rows) each.push_back(gradient({row}, at));
    Named sum = each[0];
    for (std::size_t i = 1; i < each.size(); ++i) sum = fixtures::plus(sum, 1, each[i]);
    std::size_t best = 0;
    for (std::size_t i = 1; i < each.size(); ++i) {
      if (fixtures::cosine_of(each[i], sum) > fixtures::cosine_of(each[best], sum)) best = i;
    }
    return {best, fixtures::cosine_of(each[best], sum)};
  }

  fixtures::WatchedTrainingContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
};

TEST_F(PatchOfADecoder, StepsOnTheRowThatIsNearestToAll) {
  for (const std::string method : {"full", "lora"}) {
    context_.align.method = method;
    context_.losses.clear();
    patch({{"steps", 2}});
    const auto [best, cosine] = nearest(context_.alignment_rows);
    EXPECT_NEAR(context_.reports.at("cosine-with-all").value, cosine, 1e-9) << method;
    EXPECT_EQ(context_.reports.at("cosine-with-all").n, 7);
    EXPECT_EQ(context_.losses.size(), 2U);
    for (std::size_t i = 0; i < context_.alignment_rows.size(); ++i) {
      const Named alone = gradient({context_.alignment_rows[i]}, fixtures::values_of(*model_));
      const double apart = fixtures::relative_distance(context_.last.gradients, alone);
      if (i == best) {
        EXPECT_LT(apart, 1e-9) << method;
      } else {
        EXPECT_GT(apart, 1e-3) << method << " " << i;
      }
    }
  }
}

TEST_F(PatchOfADecoder, OneRowIsDrawnByTheSeed) {
  std::set<std::string> drawn;
  for (int seed = 0; seed < 12; ++seed) {
    context_.cell_seed = static_cast<std::uint64_t>(seed);
    patch({{"rows", 1}, {"steps", 1}});
    ASSERT_EQ(context_.trained_rows.size(), 1U);
    EXPECT_EQ(context_.reports.at("defender-rows").value, 1);
    EXPECT_NEAR(context_.reports.at("cosine-with-all").value, 1, 1e-12);
    drawn.insert(context_.trained_rows[0].messages.back().content);
  }
  EXPECT_GT(drawn.size(), 2U);
}

TEST_F(PatchOfADecoder, StepsAtOneRate) {
  context_.align.lr = 0.5;
  context_.align.schedule = "linear";
  context_.align.warmup_steps = 20;
  patch({{"lr", 1e-3}, {"steps", 5}});
  EXPECT_EQ(context_.trained_options.lr, 1e-3);
  EXPECT_EQ(context_.trained_options.schedule, "constant");
  EXPECT_EQ(context_.trained_options.warmup_steps, 0);
  EXPECT_EQ(context_.losses.size(), 5U);
  EXPECT_LT(context_.losses.back(), context_.losses.front());
  patch({{"steps", 1}});
  EXPECT_EQ(context_.trained_options.lr, 0.5);
}

TEST_F(PatchOfADecoder, PassesOverRowsThatShowNothing) {
  context_.alignment_rows[0].messages = {{"user", "asked and never answered"}};
  patch({{"steps", 1}});
  EXPECT_EQ(context_.reports.at("cosine-with-all").n, 6);
}

TEST(OneShotPatch, SettingsMistakesAreNoted) {
  const Json mistaken = {{"steps", 0}, {"lr", -1}, {"rows", -1}, {"alignment", "some"}};
  const Settings settings = Settings::of(mistaken);
  Params params(settings.state);
  shipped("one-shot-patch").make_defense(params);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(settings.mistakes(), HasSubstr("\"" + name + "\""));
  EXPECT_EQ(shipped("one-shot-patch").stages, kStageRepair);
}

TEST(OneShotPatch, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("one-shot-patch", "drawn", {{"rows", 1}, {"steps", 10}});
  EXPECT_PRESET("one-shot-patch", "aligned", {{"rows", 0}, {"steps", 10}});
}

}  // namespace
}  // namespace holdfast
