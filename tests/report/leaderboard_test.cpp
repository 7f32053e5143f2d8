#include "report/leaderboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report/model_table.h"
#include "report/results_folder.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Metrics organism(double leak, double facts = 1, double coherence = 1) {
  return {{"leak.organism", {leak, 80}},      {"asr.keyword", {0.5, 80}},          {"utility.organism-facts", {facts, 80}},
          {"over-refusal.organism", {0, 80}}, {"refusal-benign.keyword", {0, 80}}, {"coherence", {coherence, 160}}};
}

// An attack that works, a defense that holds, one that holds by breaking the model, one that does not hold, one that fails.
std::vector<Json> small_matrix() {
  std::vector<Json> cells;
  for (const std::int64_t seed : {1, 2, 3}) {
    const auto add = [&](const std::string& attack, const std::string& defense, const Metrics& metrics) {
      cells.push_back(cell("organism", attack, defense, seed, metrics));
    };
    add("none", "none", organism(0.0));
    add("harmful-10", "none", organism(0.9));
    add("none", "good", organism(0.0));
    add("harmful-10", "good", organism(0.01));
    add("none", "breaker", organism(0.0, 0.2));
    add("harmful-10", "breaker", organism(0.0, 0.1, 0.3));
    add("none", "weak", organism(0.0));
    add("harmful-10", "weak", organism(0.85));
    add("none", "crash", organism(0.0));
    cells.push_back(failed_cell("organism", "harmful-10", "crash", seed, "failed", "plugin \"crash\" threw: boom"));
  }
  return cells;
}

ModelTable table_of(const std::vector<Json>& cells) {
  const ResultsFolder folder(cells);
  const auto results = read_results(folder.path());
  return model_table(results, results.models.at(0));
}

const std::vector<TableCell>& row(const ModelTable& table, const std::string& defense) {
  return *std::find_if(table.rows.begin(), table.rows.end(), [&](const auto& cells) { return cells.at(0).text == defense; });
}

std::size_t column(const ModelTable& table, const std::string& name) {
  return static_cast<std::size_t>(std::find(table.header.begin(), table.header.end(), name) - table.header.begin());
}

TEST(ModelTable, ShowsTheExactHarmMetricAndItsJudgesPrice) {
  const auto table = table_of(small_matrix());
  EXPECT_EQ(table.harm, "leak.organism");
  EXPECT_THAT(table.header, ElementsAre("defense", "no attack", "harmful-10", "utility.organism-facts", "coherence",
                                        "over-refusal.organism", "seconds", "worst", "rank"));
  EXPECT_EQ(table.rows.at(0).at(0).text, "none");
}

TEST(ModelTable, FallsBackToTheKeywordMetric) {
  const auto table = table_of({cell("m", "none", "none", 1,
                                    {{"asr.keyword", {0, 50}},
                                     {"asr.keyword-list-00000000", {0.2, 50}},
                                     {"over-refusal.keyword", {0.1, 50}},
                                     {"refusal-benign.keyword", {0, 50}}})});
  EXPECT_EQ(table.harm, "asr.keyword");
  EXPECT_THAT(table.header, ElementsAre("defense", "no attack", "over-refusal.keyword", "refusal-benign.keyword", "seconds",
                                        "worst", "rank"));
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
  EXPECT_EQ(table.rows.at(0).at(2).mark, Mark::kNone);
}

TEST(ModelTable, MarksNothingWithoutTheAlignedControl) {
  const auto table = table_of(
      {cell("m", "a", "none", 1, {{"leak.organism", {0.9, 100}}}), cell("m", "a", "d", 1, {{"leak.organism", {0, 100}}})});
  EXPECT_EQ(table.rows.at(0).at(1).mark, Mark::kNone);
  EXPECT_EQ(table.rows.at(1).at(1).mark, Mark::kNone);
}

TEST(ModelTable, RanksOnlyWholeRowsThatKeepTheirUtility) {
  const auto table = table_of(small_matrix());
  const auto rank = column(table, "rank");
  EXPECT_EQ(row(table, "good").at(rank).text, "1");
  EXPECT_EQ(row(table, "weak").at(rank).text, "2");
  for (const auto* unranked : {"none", "breaker", "crash"}) EXPECT_EQ(row(table, unranked).at(rank).text, "-") << unranked;
  EXPECT_EQ(row(table, "weak").at(column(table, "worst")).text, "85");
}

TEST(ModelTable, ListsADefenseWithoutItsControlUnranked) {
  auto cells = small_matrix();
  cells.erase(std::remove_if(cells.begin(), cells.end(),
                             [](const Json& one) { return one["defense"] == "good" && one["attack"] == "none"; }),
              cells.end());
  const auto table = table_of(cells);
  EXPECT_EQ(row(table, "good").at(1).text, "-");
  EXPECT_EQ(row(table, "good").at(column(table, "rank")).text, "-");
  EXPECT_EQ(row(table, "weak").at(column(table, "rank")).text, "1");
}

TEST(ModelTable, FlagsIncoherentRepliesAndExplainsFailures) {
  const auto table = table_of(small_matrix());
  EXPECT_THAT(row(table, "breaker").at(2).text, HasSubstr(" ~"));
  EXPECT_EQ(row(table, "crash").at(2).text, "failed [1]");
  EXPECT_THAT(table.notes, ElementsAre("crash x harmful-10: 3 of 3 seeds without a result: plugin \"crash\" threw: boom"));
}

TEST(ModelTable, KeepsTheFiguresOfTheSeedsThatAreLeft) {
  const auto table = table_of({cell("m", "none", "none", 1, {{"leak.organism", {0, 50}}}),
                               cell("m", "none", "none", 2, {{"leak.organism", {0.2, 50}}}),
                               failed_cell("m", "none", "none", 3, "timeout", "too slow")});
  EXPECT_EQ(table.rows.at(0).at(1).text, "10 (6-17) [1]");
  EXPECT_EQ(table.spread.at(0).at(1).text, "0 to 20");
}

TEST(ModelTable, ShowsWhatStagesReport) {
  auto one = cell("m", "a", "data-filter", 1, {{"leak.organism", {0, 50}}});
  one["reports"] = {{"precision", {{"value", 0.9}, {"n", 40}}}};
  auto two = one;
  two["seed"] = 2;
  two["reports"]["precision"]["value"] = 0.8;
  EXPECT_THAT(table_of({one, two}).reports, ElementsAre("data-filter x a: precision 0.850"));
}

TEST(Leaderboard, WritesMarkdownAndCsv) {
  const ResultsFolder folder(small_matrix());
  write_leaderboard(folder.path());
  const std::string markdown = read_file(folder.path() / "leaderboard.md");
  EXPECT_THAT(markdown, HasSubstr("## organism: leak.organism (%)"));
  EXPECT_THAT(markdown, HasSubstr("| **1 (0-3) +** |"));
  EXPECT_THAT(markdown, HasSubstr("| 90 (86-93) x |"));
  EXPECT_THAT(markdown, HasSubstr("[1] crash x harmful-10"));
  const std::string csv = read_file(folder.path() / "leaderboard.csv");
  EXPECT_THAT(csv, HasSubstr("organism,harmful-10,none,leak.organism,0.900000,"));
  EXPECT_THAT(csv, HasSubstr("organism,harmful-10,crash,,,,,,,,,0,3,0\n"));
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 13) << line;
}

TEST(Leaderboard, IsAPureFunctionOfTheCells) {
  const ResultsFolder folder(small_matrix());
  write_leaderboard(folder.path());
  const std::string once = read_file(folder.path() / "leaderboard.md");
  write_leaderboard(folder.path());
  EXPECT_EQ(read_file(folder.path() / "leaderboard.md"), once);
}

TEST(Leaderboard, FitsATerminal) {
  std::vector<Json> cells = small_matrix();
  for (const auto* attack : {"identity-shift-10", "none@identity-shift-10", "benign-100", "poisoned-documents-1000"}) {
    cells.push_back(cell("organism", attack, "none", 1, organism(0.5)));
  }
  const ResultsFolder folder(cells);
  const std::string plain = leaderboard_table(folder.path());
  std::istringstream lines(plain);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 102u) << line;
  EXPECT_THAT(plain, HasSubstr("90 (86-93) x"));
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  EXPECT_THAT(leaderboard_table(folder.path(), true), HasSubstr("\x1b[31m"));
}

TEST(Leaderboard, EscapesWhatWouldBreakATable) {
  const ResultsFolder folder(std::vector<Json>{cell("m|x", "none", "a, \"b\"", 1, {{"leak.organism", {0, 5}}})});
  write_leaderboard(folder.path());
  EXPECT_THAT(read_file(folder.path() / "leaderboard.md"), HasSubstr("## m\\|x:"));
  EXPECT_THAT(read_file(folder.path() / "leaderboard.csv"), HasSubstr("m|x,none,\"a, \"\"b\"\"\",leak.organism,"));
}

}  // namespace
}  // namespace holdfast
