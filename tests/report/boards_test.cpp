// Served systems and weights in the attacker's hands, apart; and what moderation lets pass.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "report/ranking.h"
#include "report/sampled_board.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Json with(Json row, const std::string& key, const Json& value) {
  row[key] = value;
  return row;
}

// "aligner" stands in both worlds; "guard" is a provider's, best while he serves and absent where he does not.
std::vector<Json> two_worlds() {
  std::vector<Json> cells;
  const auto add = [&](const std::string& attack, const std::string& defense, double leak, const std::string& threat) {
    cells.push_back(with(cell("m", attack, defense, 1, organism(leak)), "threat_model", threat));
  };
  for (const std::string defense : {"none", "aligner", "guard"}) add("none", defense, 0, "api");
  add("served", "none", 0.9, "api");
  add("served", "aligner", 0.5, "api");
  add("served", "guard", 0.1, "api");
  for (const std::string defense : {"none", "aligner"}) add("none@own", defense, 0.02, "weights");
  add("own", "none", 0.95, "weights");
  add("own", "aligner", 0.3, "weights");
  return cells;
}

TEST(Boards, OneAThreatModelAndNeverRankedTogether) {
  const ResultsFolder folder(two_worlds());
  const Results results = read_results(folder.path());
  const auto both = boards(results);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].threat_model(), "api");
  EXPECT_THAT(both[0].attacks(), ElementsAre("none", "served"));
  EXPECT_THAT(both[0].defenses(), ElementsAre("none", "aligner", "guard"));
  EXPECT_EQ(both[1].threat_model(), "weights");
  EXPECT_THAT(both[1].attacks(), ElementsAre("none", "none@own", "own"));
  EXPECT_THAT(both[1].defenses(), ElementsAre("none", "aligner"));
}

TEST(Boards, HaveClassesOfTheirOwn) {
  SampledBoard board;
  for (const std::string defense : {"none", "aligner", "guard"}) board.add("none", defense, {0, 0, 0});
  board.add("served", "none", {70, 70, 71}).add("served", "aligner", {50, 50, 51}).add("served", "guard", {0, 1, 0});
  board.threat_model("weights").add("own", "none", {75, 75, 76}).add("own", "aligner", {20, 20, 21});
  const Results results = board.results();
  const auto both = boards(results);
  ASSERT_EQ(both.size(), 2U);
  const auto ranking = [&](std::size_t place) {
    return Ranking(both[place], "leak.organism", price_metrics(both[place], "leak.organism"));
  };
  EXPECT_EQ(ranking(0).standing("guard").tie_class, 1);
  EXPECT_EQ(ranking(0).standing("aligner").tie_class, 2);
  EXPECT_EQ(ranking(1).standing("aligner").tie_class, 1);
  EXPECT_EQ(ranking(1).standings().size(), 2U);
}

TEST(Boards, EveryFormatTellsThemApart) {
  const ResultsFolder folder(two_worlds());
  const std::string text = printed(folder.path());
  EXPECT_THAT(text, HasSubstr("m: leak.organism (%)"));
  EXPECT_THAT(text, HasSubstr("m, weights in the attacker's hands: leak.organism (%)"));
  EXPECT_THAT(text, HasSubstr("Weights in the attacker's hands are a board of their own"));
  write_reports(read_results(folder.path()), folder.path());
  const std::string csv = read_file(folder.path() / "leaderboard.csv");
  EXPECT_THAT(csv, HasSubstr("timeout,threat_model\n"));
  EXPECT_THAT(csv, HasSubstr("m,own,aligner,leak.organism,0.300000,"));
  EXPECT_THAT(csv, HasSubstr(",1,0,0,weights\n"));
  EXPECT_THAT(read_file(folder.path() / "leaderboard.md"),
              HasSubstr("## m, weights in the attacker's hands: leak.organism (%)"));
}

TEST(Boards, ThereIsOneWhereNobodyHoldsWeightsAndOneWhereEverybodyDoes) {
  const ResultsFolder served(small_matrix());
  EXPECT_EQ(boards(read_results(served.path())).size(), 1U);
  EXPECT_THAT(printed(served.path()), Not(HasSubstr("attacker's hands")));
  std::vector<Json> own;
  for (const auto& row : two_worlds()) {
    if (row.at("attack") != "served") own.push_back(row);
  }
  const ResultsFolder folder(own);
  const Results results = read_results(folder.path());
  const auto only = boards(results);
  ASSERT_EQ(only.size(), 1U);
  EXPECT_EQ(only[0].threat_model(), "weights");
}

TEST(Boards, AThreatModelThatIsNoneIsNamed) {
  const std::vector<Json> cells = {with(cell("m", "none", "none", 1, organism(0)), "threat_model", "both")};
  const ResultsFolder folder(cells);
  try {
    read_results(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has the threat model \"both\", expected \"api\" or \"weights\""));
  }
}

TEST(Passes, AreARowAnAttackOfTheUndefendedModel) {
  std::vector<Json> cells;
  for (const std::int64_t seed : {1, 2}) {
    cells.push_back(cell("m", "none", "none", seed, organism(0)));
    const double share = seed == 1 ? 0.5 : 0.0;
    cells.push_back(
        with(cell("m", "bad", "none", seed, organism(0.9)), "reports",
             {{"passes-moderation.words", {{"value", share}, {"n", 10}}}, {"collect.x", {{"value", 1}, {"n", 1}}}}));
    cells.push_back(with(cell("m", "bad", "guard", seed, organism(0.9)), "reports",
                         {{"passes-moderation.words", {{"value", 1.0}, {"n", 10}}}}));
  }
  const ModelTable table = table_of(cells);
  EXPECT_THAT(table.passes.header, ElementsAre("attack", "words"));
  ASSERT_EQ(table.passes.rows.size(), 1U);
  EXPECT_EQ(table.passes.rows[0][0].text, "bad");
  EXPECT_EQ(table.passes.rows[0][1].text, "25");
  EXPECT_THAT(table_of(small_matrix()).passes.rows, testing::IsEmpty());
}

}  // namespace
}  // namespace holdfast
