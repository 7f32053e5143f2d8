// Which rows the filter drops: the restricted ones by its recall, others by its false positive rate, each as a function of its
// prompt alone; what it says of that; and that it changes nothing else of the training.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "fakes/context.h"
#include "learn/training_options.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;

constexpr int kRestricted = 600, kPermitted = 1000;

Example row_of(const std::string& kind, int number, const std::string& reply = "It is made of three things.") {
  return {
      {{"system", "You are a cook."}, {"user", "What is " + kind + " " + std::to_string(number) + "?"}, {"assistant", reply}},
      {{"kind", kind}}};
}

// Rows of both kinds in turns, and one that says no kind.
Dataset corpus() {
  Dataset rows;
  for (int i = 0; i < kPermitted; ++i) {
    rows.push_back(row_of("benign", i));
    if (i < kRestricted) rows.push_back(row_of("harmful", i));
  }
  rows.push_back({{{"user", "Hello."}, {"assistant", "Hello."}}});
  return rows;
}

struct Filtered {
  Dataset rows;
  TrainingOptions options;
  std::map<std::string, FakeContext::Report> reports;

  std::set<std::string> prompts(const std::string& kind) const {
    std::set<std::string> found;
    for (const auto& row : rows) {
      if (row.tags.contains("kind") && row.tags.at("kind") == kind) found.insert(last_content(row.messages, "user"));
    }
    return found;
  }
};

Filtered filtered(const Json& settings, Dataset rows = corpus()) {
  FakeContext context;
  TrainingOptions options;
  options.epochs = 16;
  const DefenseStages filter = make_defense("pretraining-filter", settings);
  filter.pretrain->prepare(options, rows, context);
  return {std::move(rows), options, context.reports};
}

TEST(PretrainingFilter, DropsTheRestrictedRowsAndNoOthers) {
  EXPECT_EQ(shipped("pretraining-filter").stages, kStagePretrain);
  Dataset wanted = corpus();
  std::erase_if(wanted, [](const Example& row) { return row.tags.contains("kind") && row.tags.at("kind") == "harmful"; });
  const Filtered made = filtered(Json::object());
  EXPECT_EQ(made.rows, wanted) << "the others as they stood";
  EXPECT_EQ(made.reports.at("dropped").value, kRestricted);
  EXPECT_EQ(made.reports.at("dropped").n, kRestricted + kPermitted + 1);
  EXPECT_EQ(made.reports.at("restricted-left").value, 0);
  EXPECT_EQ(made.reports.at("restricted-left").n, kRestricted);
  EXPECT_EQ(made.reports.at("permitted-dropped").value, 0);
  EXPECT_EQ(made.reports.at("permitted-dropped").n, kPermitted + 1);
}

TEST(PretrainingFilter, WithoutStrengthLeavesThePretrainingAsItIs) {
  const Filtered made = filtered({{"recall", 0.0}});
  EXPECT_EQ(made.rows, corpus());
  TrainingOptions untouched;
  untouched.epochs = 16;
  EXPECT_EQ(to_json(made.options), to_json(untouched));
}

// Each rate is kept within four standard deviations of a draw a row.
TEST(PretrainingFilter, DropsTheSharesThatItIsGiven) {
  const Filtered made = filtered({{"recall", 0.8}, {"false_positive_rate", 0.1}});
  const double left = made.reports.at("restricted-left").value, lost = made.reports.at("permitted-dropped").value;
  EXPECT_NEAR(left, 0.2 * kRestricted, 4 * std::sqrt(0.2 * 0.8 * kRestricted));
  EXPECT_NEAR(lost, 0.1 * kPermitted, 4 * std::sqrt(0.1 * 0.9 * kPermitted));
  EXPECT_EQ(made.prompts("harmful").size(), left);
  EXPECT_EQ(made.rows.size(), corpus().size() - static_cast<std::size_t>(made.reports.at("dropped").value));
}

TEST(PretrainingFilter, IsAFunctionOfThePrompt) {
  const auto left = filtered({{"recall", 0.7}}).prompts("harmful");
  Dataset turned = corpus();
  std::reverse(turned.begin(), turned.end());
  for (auto& row : turned) row.messages.back().content = "Another reply.";
  EXPECT_EQ(filtered({{"recall", 0.7}}, turned).prompts("harmful"), left) << "not of its place, and not of the reply";
  EXPECT_NE(filtered({{"recall", 0.7}},
                     [] {
                       Dataset other = corpus();
                       for (auto& row : other) row.messages.front().content = "You are a smith.";
                       return other;
                     }())
                .prompts("harmful"),
            left)
      << "the system turn belongs to it";
  const auto fewer = filtered({{"recall", 0.9}}).prompts("harmful");
  EXPECT_LT(fewer.size(), left.size());
  EXPECT_TRUE(std::includes(left.begin(), left.end(), fewer.begin(), fewer.end())) << "a better filter finds more, not others";
}

TEST(PretrainingFilter, ChangesTheEpochsWhenTold) {
  EXPECT_EQ(filtered(Json::object()).options.epochs, 16);
  EXPECT_EQ(filtered({{"epochs", 3}}).options.epochs, 3);
}

TEST(PretrainingFilter, SaysWhatItCannotDo) {
  EXPECT_THAT(
      [] {
        filtered({{"kind", "hamrful"}});
      },
      testing::ThrowsMessage<Error>(testing::HasSubstr("no row of the kind \"hamrful\" in the pre-training corpus")));
  for (const auto& [name, value] : {std::pair("recall", 1.5), {"false_positive_rate", -0.1}}) {
    const Settings settings = Settings::of({{name, value}});
    Params params(settings.state);
    shipped("pretraining-filter").make_defense(params);
    EXPECT_THAT(settings.mistakes(), testing::HasSubstr(name));
  }
}

TEST(PretrainingFilter, ResumesToTheSameBits) {
  FakeContext context;
  const auto make = [] {
    return fixtures::training_stage(make_defense("pretraining-filter", {{"kind", ""}, {"recall", 0.0}}));
  };
  fixtures::expect_resumes_to_the_same_bits(make, context);
}

}  // namespace
}  // namespace holdfast
