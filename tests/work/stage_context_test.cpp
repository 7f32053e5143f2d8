#include "work/stage_context.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <limits>

#include "base/remembered_digest.h"
#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"

namespace holdfast {
namespace {

TEST(StageContext, KeepsAFigureThatIsNotFiniteAsNone) {
  StageRequest request;
  request.task = {{"seed", 1}};
  StageContext context(request, {});
  context.report("nonsense", std::nan(""), 3);
  context.report("endless", std::numeric_limits<double>::infinity(), 3);
  context.report("fine", 0.5, 3);
  EXPECT_EQ(Json::parse(canonical(context.reports())), (Json{{"endless", {{"value", nullptr}, {"n", 3}}},
                                                             {"fine", {{"value", 0.5}, {"n", 3}}},
                                                             {"nonsense", {{"value", nullptr}, {"n", 3}}}}));
}

// A pre-training stands before all training settings, so that its key holds none.
TEST(StageContext, RefusesToSayWhatIsNotInTheKey) {
  StageRequest request;
  request.task = {{"seed", 1}};
  StageContext context(request, {});
  EXPECT_THAT([&] { context.align_options(); }, testing::ThrowsMessage<Error>(testing::HasSubstr("training settings")));
  EXPECT_THAT([&] { context.finetune_options(); }, testing::ThrowsMessage<Error>(testing::HasSubstr("training settings")));
}

TEST(StageContext, TheBaseModelIsTheOneOfTheRequest) {
  StageRequest request;
  request.task = {{"seed", 1}};
  const auto load = [](const WeightsRef& ref) {
    EXPECT_EQ(ref.digest(), "of the new base");
    return load_model("organism", {});
  };
  EXPECT_THAT([&] { StageContext(request, load).base_model(); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("needs() names kNeedsBase")));
  request.weights["base"] = {
      "organism", "cpu", "default", "of the checkpoint", {{StageKind::kPretrain, "key", "of the new base"}}};
  StageContext context(request, load);
  EXPECT_EQ(context.base_model().layers(), 4);
}

// Numbers of one model are no other's: not of other weights, nor of the same ones in other numbers.
TEST(StageContext, KeepsNumbersOfAModelByItsWeightsAndNumerics) {
  const ScratchFolder scratch;
  StageRequest request;
  request.task = {{"seed", 1}};
  int found = 0;
  const auto ask = [&](const std::string& about) {
    return StageContext(request, {}, {}, {}, KeptNumbers(scratch / "kept")).kept_of_aligned(about, [&] {
      return std::vector<double>{static_cast<double>(++found)};
    });
  };
  EXPECT_THAT([&] { ask("a probe"); }, testing::ThrowsMessage<Error>(testing::HasSubstr("needs() names kNeedsAligned")));
  WeightsRef& aligned = request.weights["aligned"] = {"organism", "cuda:0", "default", "base", {}};
  EXPECT_EQ(ask("a probe"), std::vector<double>{1});
  EXPECT_EQ(ask("a probe"), std::vector<double>{1});
  EXPECT_EQ(ask("another"), std::vector<double>{2});
  aligned.device = "cuda:1";
  aligned.source = "elsewhere";
  EXPECT_EQ(ask("a probe"), std::vector<double>{1}) << "the same model on the next card";
  aligned.device = "cpu";
  EXPECT_EQ(ask("a probe"), std::vector<double>{3});
  aligned.dtype = "bfloat16";
  EXPECT_EQ(ask("a probe"), std::vector<double>{4});
  aligned.chain.push_back({StageKind::kAlign, "key", "other content"});
  EXPECT_EQ(ask("a probe"), std::vector<double>{5});
  aligned.base = "other base";
  EXPECT_EQ(ask("a probe"), std::vector<double>{6});
}

TEST(StageContext, AddsUpTheRowsOfSeveralMembers) {
  StageRequest request;
  request.task = {{"seed", 1}};
  StageContext context(request, {});
  const Dataset rows(5, Example{{{"user", "q"}, {"assistant", "a"}}});
  EXPECT_EQ(defender_rows(rows, 0, "one", "the corpus", context).size(), 5u);
  EXPECT_EQ(defender_rows(rows, 3, "two", "the corpus", context).size(), 3u);
  context.report("other", 1, 1);
  context.report("other", 2, 2);
  EXPECT_EQ(context.reports(), (Json{{"defender-rows", {{"value", 8.0}, {"n", 8}}}, {"other", {{"value", 2.0}, {"n", 2}}}}));
}

// A moderation model, say: a folder that a setting names, loaded once.
TEST(StageContext, LoadsAModelByItsPath) {
  StageRequest request;
  request.task = {{"seed", 1}};
  int loads = 0;
  std::shared_ptr<const LanguageModel> loaded;
  StageContext context(request, [&](const WeightsRef& ref) {
    ++loads;
    EXPECT_EQ(ref.device, "cpu");
    EXPECT_EQ(ref.base, content_digest(ref.source));
    return loaded = load_model(ref.source, {ref.device, ref.dtype});
  });
  const fs::path folder = fixtures::checkpoint("grouped");
  const Model* first = &context.model(folder);
  EXPECT_EQ(first, loaded.get());
  EXPECT_EQ(first, &context.model(folder));
  EXPECT_EQ(loads, 1);
}

TEST(StageContext, AsksALocalModelForLikelihoodsAndNotToWrite) {
  StageRequest request;
  request.task = {{"seed", 1}};
  const auto model = load_model("organism", {});
  StageContext context(request, [&](const WeightsRef&) { return load_model("organism", {}); });
  EXPECT_THAT(
      [&] {
        context.asker().ask({{{"user", "Hello?"}}}, AskOptions());
      },
      testing::ThrowsMessage<Error>(testing::HasSubstr("read_endpoint_options")));
  EXPECT_TRUE(context.asker().ask({}, AskOptions()).empty());
  const auto found = context.asker().two_log_probs(*model, {{{"user", "Hello?"}}}, {"The", "I"});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_LT(found[0].first, 0);
}

}  // namespace
}  // namespace holdfast
