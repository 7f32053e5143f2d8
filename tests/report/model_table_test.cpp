#include "report/model_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <algorithm>
#include <cmath>

#include "report/agreement_table.h"
#include "report/effect_tables.h"
#include "report/small_matrix.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ModelTable, ShowsTheExactHarmMetricAndItsJudgesPrice) {
  const auto table = table_of(small_matrix());
  EXPECT_EQ(table.harm, "leak.organism");
  EXPECT_THAT(table.main.header, ElementsAre("defense", "no attack", "harmful-10", "utility.organism-facts", "coherence",
                                             "over-refusal.organism", "defender-rows", "seconds", "worst", "place"));
  EXPECT_EQ(table.main.rows.at(0).at(0).text, "none");
}

TEST(ModelTable, SaysHowManyRowsADefenseHasOfItsOwn) {
  auto none = cell("m", "none", "none", 1, {{"leak.organism", {0, 50}}});
  auto some = cell("m", "none", "d", 1, {{"leak.organism", {0, 50}}});
  auto more = cell("m", "a", "d", 1, {{"leak.organism", {0, 50}}});
  some["defender_rows"] = 40;
  more["defender_rows"] = 60;
  const auto table = table_of({none, cell("m", "a", "none", 1, {{"leak.organism", {1, 50}}}), some, more});
  const auto column =
      std::find(table.main.header.begin(), table.main.header.end(), "defender-rows") - table.main.header.begin();
  EXPECT_EQ(table.main.rows.at(0).at(column).text, "0");
  EXPECT_EQ(table.main.rows.at(1).at(column).text, "60");
}

TEST(ModelTable, FallsBackToTheKeywordMetric) {
  const auto table = table_of({cell("m", "none", "none", 1,
                                    {{"asr.keyword", {0, 50}},
                                     {"asr.keyword-list-00000000", {0.2, 50}},
                                     {"over-refusal.keyword", {0.1, 50}},
                                     {"refusal-benign.keyword", {0, 50}}})});
  EXPECT_EQ(table.harm, "asr.keyword");
  EXPECT_THAT(table.main.header, ElementsAre("defense", "no attack", "over-refusal.keyword", "refusal-benign.keyword",
                                             "defender-rows", "seconds", "worst", "place"));
}

TEST(ModelTable, MarksWhatHoldsAndWhatIsBroken) {
  const auto table = table_of(small_matrix());
  EXPECT_EQ(row(table, "none").at(1).mark, Mark::kNone);
  EXPECT_EQ(row(table, "none").at(2).mark, Mark::kBroken);
  EXPECT_EQ(row(table, "weak").at(2).mark, Mark::kBroken);
  EXPECT_EQ(row(table, "good").at(2).mark, Mark::kHolds);
  EXPECT_EQ(row(table, "none").at(2).text, "90 (86-93)");
}

TEST(ModelTable, LeavesUnmarkedWhatTooFewProbesDecide) {
  const auto table = table_of(
      {cell("m", "none", "none", 1, {{"leak.organism", {0, 100}}}), cell("m", "a", "none", 1, {{"leak.organism", {0.1, 20}}})});
  EXPECT_EQ(table.main.rows.at(0).at(2).mark, Mark::kNone);
}

TEST(ModelTable, MarksNothingWithoutTheAlignedControl) {
  const auto table = table_of(
      {cell("m", "a", "none", 1, {{"leak.organism", {0.9, 100}}}), cell("m", "a", "d", 1, {{"leak.organism", {0, 100}}})});
  EXPECT_EQ(table.main.rows.at(0).at(1).mark, Mark::kNone);
  EXPECT_EQ(table.main.rows.at(1).at(1).mark, Mark::kNone);
}

TEST(ModelTable, FlagsIncoherentRepliesAndExplainsFailures) {
  const auto table = table_of(small_matrix());
  EXPECT_THAT(row(table, "breaker").at(2).text, HasSubstr(" ~"));
  EXPECT_EQ(row(table, "crash").at(2).text, "failed [1]");
  EXPECT_EQ(table.notes.at(0), "crash x harmful-10: 3 of 3 seeds without a result: plugin \"crash\" threw: boom");
}

TEST(ModelTable, KeepsTheFiguresOfTheSeedsThatAreLeft) {
  const auto table = table_of({cell("m", "none", "none", 1, {{"leak.organism", {0, 50}}}),
                               cell("m", "none", "none", 2, {{"leak.organism", {0.2, 50}}}),
                               failed_cell("m", "none", "none", 3, "timeout", "too slow")});
  EXPECT_EQ(table.main.rows.at(0).at(1).text, "10 (6-17) [1]");
  EXPECT_EQ(table.spread.rows.at(0).at(1).text, "0 to 20");
}

TEST(ModelTable, ShowsWhatStagesReport) {
  auto one = cell("m", "a", "data-filter", 1, {{"leak.organism", {0, 50}}});
  one["reports"] = {{"precision", {{"value", 0.9}, {"n", 40}}}};
  auto two = one;
  two["seed"] = 2;
  two["reports"]["precision"]["value"] = 0.8;
  EXPECT_THAT(table_of({one, two}).reports, ElementsAre("data-filter x a: precision 0.850"));
}

TEST(ModelTable, GivesNoPlaceToWhatNobodyMeasuredTheUtilityOf) {
  const auto table = table_of(
      {cell("m", "none", "none", 1, {{"asr.keyword", {0, 50}}}), cell("m", "a", "none", 1, {{"asr.keyword", {0.9, 50}}}),
       cell("m", "none", "d", 1, {{"asr.keyword", {0, 50}}}), cell("m", "a", "d", 1, {{"asr.keyword", {0, 50}}})});
  EXPECT_EQ(row(table, "d").at(column(table, "place")).text, "-");
  ASSERT_EQ(table.notes.size(), 1u);
  EXPECT_THAT(table.notes[0], HasSubstr("no place: d, since the utility of the defended model without attack is unknown"));
}

// Two seeds of an undefended cell that leaks most, and of a defense that stops it, by two judges.
class Effects : public ::testing::Test {
 protected:
  Effects() : folder_(cells()) {
    for (const std::string seed : {"1", "2"}) {
      add("none-" + seed, 55, 50);
      add("good-" + seed, 5, 5);
      add("idle-" + seed, seed == "1" ? 50 : 58, 50);
      folder_.add_samples("control-" + seed, {{"leak.organism", std::vector<double>(60, 0.0)}});
    }
  }

  static std::vector<Json> cells() {
    std::vector<Json> made;
    for (const std::int64_t seed : {1, 2}) {
      for (const std::string defense : {"none", "good", "idle"}) {
        made.push_back(cell("m", "a", defense, seed, organism(0.5)));
        made.back()["stages"]["generate"] = defense + "-" + std::to_string(seed);
        made.push_back(cell("m", "none", defense, seed, organism(0)));
        made.back()["stages"]["generate"] = "control-" + std::to_string(seed);
      }
    }
    return made;
  }

  void add(const std::string& key, int leaks, int complies) {
    std::vector<double> leak(60);
    std::vector<double> asr(60);
    std::fill(leak.begin(), leak.begin() + leaks, 1.0);
    std::fill(asr.begin(), asr.begin() + complies, 1.0);
    folder_.add_samples(key, {{"leak.organism", leak}, {"asr.keyword", asr}});
  }

  ResultsFolder folder_;
};

TEST_F(Effects, AreLowerWhereADefenseWorksAndNoiseWhereOnlySeedsDiffer) {
  const auto results = read_results(folder_.path());
  const auto effects = defense_effects(ModelCells(results, "m"), "leak.organism", {"a"});
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_EQ(effects[0].defense, "good");
  EXPECT_NEAR(effects[0].change.value, -50.0 / 60, 1e-12);
  EXPECT_LT(effects[0].adjusted, 0.001);
  EXPECT_EQ(effect_word(effects[0]), "lower");
  EXPECT_EQ(effect_word(effects[1]), "noise");
  EXPECT_GT(*effects[1].noise, std::abs(effects[1].change.value));
}

TEST_F(Effects, StandInTheTablesAndFiles) {
  write_reports(read_results(folder_.path()), folder_.path());
  EXPECT_THAT(read_file(folder_.path() / "leaderboard.md"), HasSubstr("| **lower +** |"));
  EXPECT_THAT(read_file(folder_.path() / "effects.csv"), HasSubstr("m,leak.organism,a,good,-0.833333,"));
  EXPECT_THAT(printed(folder_.path()), HasSubstr("a x good"));
  EXPECT_THROW(printed(folder_.path(), "asr.nobody"), Error);
}

// Scores of 1 to 5 are no shares: their effects come from a bootstrap and are shown in points of the scale.
TEST(ScoreTables, ShowMeansAndEffectsOfScores) {
  std::vector<Json> cells;
  for (const std::string defense : {"none", "good"}) {
    cells.push_back(cell("m", "a", defense, 1, {{"score.rubric", {defense == "none" ? 4.5 : 1.5, 40}}}));
    cells.back()["stages"]["generate"] = defense;
  }
  ResultsFolder folder(cells);
  std::vector<double> high(40, 4.0);
  std::fill(high.begin(), high.begin() + 20, 5.0);
  std::vector<double> low(40, 1.0);
  std::fill(low.begin(), low.begin() + 20, 2.0);
  folder.add_samples("none", {{"score.rubric", high}});
  folder.add_samples("good", {{"score.rubric", low}});
  const Results results = read_results(folder.path());
  const auto tables = score_tables(ModelCells(results, "m"));
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0].means.rows.at(0).at(1).text.substr(0, 6), "4.50 (");
  EXPECT_EQ(tables[0].effects.rows.at(0).at(1).text, "-3.00 (-3.00 to -3.00)");
  EXPECT_EQ(tables[0].effects.rows.at(0).back().text, "lower");
  write_reports(read_results(folder.path()), folder.path());
  EXPECT_THAT(read_file(folder.path() / "leaderboard.md"), HasSubstr("Mean score.rubric:"));
}

TEST_F(Effects, ShowTheAgreementOfTheJudges) {
  const auto table = agreement_table(read_results(folder_.path()), "m");
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0][0].text, "leak.organism and asr.keyword");
  // Leaks 55 + 55, 5 + 5, 50 + 58; the keyword judge sees 50 + 50, 5 + 5, 50 + 50 of them.
  EXPECT_EQ(table.rows[0][2].text, "210");
  EXPECT_EQ(table.rows[0][3].text, "18");
  EXPECT_EQ(table.rows[0][4].text, "0");
  EXPECT_THAT(false_refusals(read_results(folder_.path()), "m"),
              HasSubstr("of 228 replies that leak it calls 18 refused or empty"));
}

TEST(ModelTable, ShowsAJudgeWithoutAnyVerdict) {
  const auto table = table_of({cell("m", "none", "none", 1, {{"unjudged.rubric", {1, 80}}, {"coherence", {1, 80}}})});
  EXPECT_EQ(table.harm, "harmful.rubric");
  EXPECT_EQ(table.main.rows.at(0).at(1).text, "- unjudged 100");
}

// Of three seeds one has no figure: its samples do not count either.
TEST(ModelTable, LeavesSamplesOfABadFigureOut) {
  std::vector<Json> cells;
  for (const std::int64_t seed : {1, 2}) {
    cells.push_back(cell("m", "none", "none", seed, {{"perplexity.t", {std::exp(1.0), 2}}}));
    cells.back()["stages"]["generate"] = std::to_string(seed);
  }
  cells[1] = without_figure(cells[1], "perplexity.t");
  ResultsFolder folder(cells);
  folder.add_samples("1", {{"perplexity.t", {1, 1}}});
  folder.add_samples("2", {{"perplexity.t", {900, 900}}});
  const Results results = read_results(folder.path());
  const auto& metric = results.groups.at(0).metrics.at("perplexity.t");
  EXPECT_NEAR(metric.value, std::exp(1), 1e-9);
  EXPECT_EQ(metric.outcomes.seeds, std::vector<std::int64_t>{1});
  EXPECT_EQ(results.groups.at(0).unknown.at("perplexity.t"), 1);
}

}  // namespace
}  // namespace holdfast
