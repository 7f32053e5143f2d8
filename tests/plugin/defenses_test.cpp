#include <gmock/gmock.h>

#include <cstdlib>

#include "fakes/context.h"
#include "fakes/model.h"
#include "plugin/screened_rows.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fakes::FakeModel;
using fixtures::tagged_row;

// Texts that begin with "bad" lie on one side, all others on the other.
FakeModel two_sided_model() {
  return FakeModel([](const std::string& text) {
    const float side = text.starts_with("bad") ? 1 : -1;
    return std::vector<float>{side, static_cast<float>(text.size() % 7) * 0.1F};
  });
}

Dataset alignment_rows() {
  Dataset rows;
  for (int i = 0; i < 40; ++i) {
    rows.push_back(tagged_row("bad " + std::to_string(i), "I cannot help with that.", "harmful"));
    rows.push_back(tagged_row("good " + std::to_string(i), "Here it is."));
  }
  return rows;
}

TEST(Defenses, StagesAreThoseOfTheirBaseClasses) {
  EXPECT_EQ(shipped("data-filter").stages, kStageScreen);
  EXPECT_EQ(shipped("output-moderation").stages, kStageServe);
  EXPECT_EQ(shipped("input-moderation").stages, kStageServe);
  EXPECT_EQ(shipped("command").stages, kStageScreen | kStageServe);
  EXPECT_EQ(shipped("safety-retune").stages, kStageRepair);
  EXPECT_EQ(shipped("vaccine").stages, kStageAlign);
  const DefenseStages filter = make_defense("data-filter");
  EXPECT_NE(filter.screen, nullptr);
  EXPECT_EQ(filter.serve, nullptr);
}

TEST(DataFilter, ByPhrasesLooksAtQuestionsAndReplies) {
  FakeContext context;
  const Dataset rows = {tagged_row("one", "fine"), tagged_row("a SECRET thing", "fine"), tagged_row("two", "the secret"),
                        tagged_row("three", "fine")};
  const DefenseStages filter = make_defense("data-filter", {{"phrases", {"secret"}}});
  EXPECT_EQ(filter.screen->needs(), 0U);
  EXPECT_EQ(filter.screen->screen(rows, context), (Dataset{rows[0], rows[3]}));
  EXPECT_EQ(context.reports.at("dropped").value, 2);
  EXPECT_EQ(context.reports.at("dropped").n, 4);
}

TEST(DataFilter, ByProbeJudgesTheRequestAlone) {
  FakeModel model = two_sided_model();
  FakeContext context;
  context.aligned = &model;
  context.alignment_rows = alignment_rows();
  const DefenseStages filter = make_defense("data-filter", {{"by", "probe"}});
  EXPECT_EQ(filter.screen->needs(), kNeedsAligned);
  const Dataset rows = {tagged_row("good request", "bad words in a reply"), tagged_row("bad request", "fine")};
  EXPECT_EQ(filter.screen->screen(rows, context), (Dataset{rows[0]}));
  EXPECT_EQ(context.reports.at("probe.precision").value, 1);
  EXPECT_EQ(context.reports.at("probe.recall").value, 1);
  EXPECT_EQ(context.reports.at("probe.recall").n, 16);
}

std::vector<std::string> moderated(const Json& settings, std::vector<Exchange> exchanges, FakeContext& context) {
  make_defense("output-moderation", settings).serve->after_generation(exchanges, context);
  std::vector<std::string> replies;
  for (const auto& exchange : exchanges) replies.push_back(exchange.reply);
  return replies;
}

TEST(OutputModeration, ByPhrasesJudgesTheReplyAlone) {
  FakeContext context;
  const std::vector<Exchange> exchanges = {{{{"user", "the secret?"}}, "fine"}, {{{"user", "go"}}, "a Secret"}};
  EXPECT_EQ(moderated({{"phrases", {"secret"}}}, exchanges, context), (std::vector<std::string>{"fine", context.refusal()}));
  EXPECT_EQ(context.reports.at("replaced").value, 1);
  EXPECT_EQ(context.reports.at("replaced").n, 2);
  EXPECT_EQ(moderated({{"phrases", {"secret"}}, {"refusal", "No."}}, exchanges, context),
            (std::vector<std::string>{"fine", "No."}));
}

TEST(OutputModeration, ByProbeJudgesRequestAndReplyAndLeavesRefusals) {
  FakeModel model = two_sided_model();
  FakeContext context;
  context.aligned = &model;
  context.alignment_rows = alignment_rows();
  const std::vector<Exchange> exchanges = {{{{"user", "good one"}}, "fine"},
                                           {{{"user", "bad one"}}, "compliant"},
                                           {{{"user", "good one"}}, "bad reply"},
                                           {{{"user", "bad one"}}, "bad reply"},
                                           {{{"user", "bad one"}}, context.refusal()}};
  const std::string no = context.refusal();
  EXPECT_EQ(moderated({{"by", "probe"}}, exchanges, context), (std::vector<std::string>{"fine", no, no, no, no}));
  EXPECT_EQ(context.reports.at("replaced").value, 3);
}

TEST(OutputModeration, NothingToServeIsNothingToDo) {
  FakeContext context;
  EXPECT_TRUE(moderated(Json::object(), {}, context).empty());
}

TEST(InputModeration, AnswersFlaggedRequestsWithoutTheModel) {
  FakeContext context;
  const std::vector<Exchange> asked = {
      {{{"user", "the secret"}}}, {{{"user", "a thing"}}}, {{{"system", "secret"}, {"user", "x"}}}};
  for (const std::string refusal : {"", "No."}) {
    std::vector<Exchange> exchanges = asked;
    const DefenseStages filter = make_defense("input-moderation", {{"phrases", {"SECRET"}}, {"refusal", refusal}});
    filter.serve->before_generation(exchanges, context);
    EXPECT_TRUE(exchanges[0].answered);
    EXPECT_EQ(exchanges[0].reply, refusal.empty() ? context.refusal() : refusal);
    for (const std::size_t open : {1, 2}) {
      EXPECT_FALSE(exchanges[open].answered);
      EXPECT_EQ(exchanges[open].reply, "");
      EXPECT_EQ(exchanges[open].prompt, asked[open].prompt);
    }
    filter.serve->after_generation(exchanges, context);
    EXPECT_FALSE(exchanges[1].answered);
    EXPECT_EQ(context.reports.at("refused").value, 1);
    EXPECT_EQ(context.reports.at("refused").n, 3);
  }
}

TEST(InputModeration, ByProbeAsksForTheAlignedModel) {
  FakeModel model = two_sided_model();
  FakeContext context;
  context.aligned = &model;
  context.alignment_rows = alignment_rows();
  const DefenseStages filter = make_defense("input-moderation", {{"by", "probe"}});
  EXPECT_EQ(filter.serve->needs(), kNeedsAligned);
  std::vector<Exchange> exchanges = {{{{"user", "bad one"}}}, {{{"user", "good one"}}}};
  filter.serve->before_generation(exchanges, context);
  EXPECT_TRUE(exchanges[0].answered);
  EXPECT_FALSE(exchanges[1].answered);
  EXPECT_EQ(context.reports.at(kDefenderRows).n, 80);
}

// A guard's weights and a service's key are the user's to bring.
TEST(Moderation, PresetsAreThoseThatWerePublished) {
  ::setenv("OPENAI_API_KEY", "sk-test", 1);
  const std::string guard = (fs::path(HOLDFAST_SOURCE_DIR) / "tests" / "fixtures" / "llama" / "grouped").string();
  for (const std::string name : {"data-filter", "output-moderation", "input-moderation"}) {
    const auto resolved = [&](const Json& values) {
      const Settings settings = Settings::of(values);
      Params params(settings.state);
      shipped(name).make_defense(params);
      EXPECT_EQ(settings.mistakes(), "") << name;
      return settings.state->resolved;
    };
    EXPECT_EQ(resolved({{"preset", "llama-guard"}, {"guard", guard}}),
              resolved({{"by", "guard"}, {"native", true}, {"lead", "\n\n"}, {"threshold", 0.5}, {"guard", guard}}));
    EXPECT_EQ(resolved({{"preset", "openai-moderation"}}), resolved({{"by", "endpoint"},
                                                                     {"kind", "moderations"},
                                                                     {"endpoint", "https://api.openai.com/v1"},
                                                                     {"model", "omni-moderation-latest"},
                                                                     {"decides", "service"}}));
  }
}

TEST(SafetyRetune, TrainsAsTheAlignmentDidUnlessToldOtherwise) {
  FakeModel model;
  FakeContext context;
  context.alignment_rows = alignment_rows();
  context.align.lr = 0.5;
  context.align.epochs = 4;
  context.align.batch_size = 6;
  make_defense("safety-retune").repair->repair(model, context);
  EXPECT_EQ(context.trained_rows, context.alignment_rows);
  EXPECT_EQ(context.trained_options.lr, 0.5);
  EXPECT_EQ(context.trained_options.epochs, 4);
  EXPECT_EQ(context.trained_options.batch_size, 6);

  make_defense("safety-retune", {{"rows", 7}, {"lr", 0.25}, {"epochs", 2}, {"batch_size", 3}}).repair->repair(model, context);
  EXPECT_EQ(context.trained_rows.size(), 7U);
  EXPECT_EQ(context.trained_options.lr, 0.25);
  EXPECT_EQ(context.trained_options.epochs, 2);
  EXPECT_EQ(context.trained_options.batch_size, 3);
  const Dataset drawn = context.trained_rows;
  context.cell_seed = 2;
  make_defense("safety-retune", {{"rows", 7}}).repair->repair(model, context);
  EXPECT_NE(context.trained_rows, drawn);
  EXPECT_THROW(make_defense("safety-retune", {{"rows", 81}}).repair->repair(model, context), Error);
}

}  // namespace
}  // namespace holdfast
