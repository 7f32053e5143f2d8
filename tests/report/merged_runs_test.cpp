// Several runs on one board, sweeps as one column, and cells by their addresses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/message_of.h"
#include "report/cell_address.h"
#include "report/small_matrix.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A run of these defenses that says what its figures are of.
class StoredRun {
 public:
  explicit StoredRun(const std::vector<std::string>& defenses, RunFacts facts = defined(), std::int64_t seed = 1)
      : folder_(cells(defenses, seed)) {
    write_run_file(folder_.path(), {{"scenario", {{"name", "r"}}}}, facts);
  }

  static RunFacts defined() {
    RunFacts facts;
    facts.definitions = {{"judge keyword", "k1"}, {"model organism", "m1"}};
    return facts;
  }

  const fs::path& path() const { return folder_.path(); }
  ResultsFolder& folder() { return folder_; }

 private:
  static std::vector<Json> cells(const std::vector<std::string>& defenses, std::int64_t seed) {
    std::vector<Json> rows;
    for (const auto& defense : defenses) rows.push_back(cell("organism", "none", defense, seed, organism(0)));
    return rows;
  }

  ResultsFolder folder_;
};

TEST(MergedRuns, StandOnOneBoard) {
  const StoredRun first({"none", "lisa"});
  StoredRun second({"none", "ewc"});
  write_file(stages_file(second.path()), R"({"key": "k", "kind": "judge", "cost": {"seconds": 3}})"
                                         "\n");
  const Results merged = read_results({first.path(), second.path()});
  EXPECT_THAT(merged.defenses, ElementsAre("none", "lisa", "ewc"));
  EXPECT_EQ(merged.find("organism", "none", "none")->ok, 1);  // the cell that both have
  EXPECT_EQ(merged.stages.at("k").spent("seconds"), 3);
  EXPECT_EQ(merged.find("organism", "none", "ewc")->rows.front().folder, second.path());
}

TEST(MergedRuns, OtherSeedsOfACellArePooled) {
  const StoredRun first({"none"});
  const StoredRun second({"none"}, StoredRun::defined(), 2);
  const Results merged = read_results({second.path(), first.path()});
  const CellGroup& group = *merged.find("organism", "none", "none");
  EXPECT_EQ(group.ok, 2);
  EXPECT_EQ(group.rows.front().seed, 1);
}

TEST(MergedRuns, OtherDefinitionsAreRefused) {
  const StoredRun first({"none"});
  RunFacts facts = StoredRun::defined();
  facts.definitions["judge keyword"] = "k2";
  const StoredRun judged({"lisa"}, facts);
  EXPECT_THAT(message_of([&] {
                read_results({first.path(), judged.path()});
              }),
              HasSubstr("the judge keyword of " + judged.path().string() + " is not that of " + first.path().string()));
  facts = StoredRun::defined();
  facts.board.utility_bound = 0.5;
  const StoredRun bounded({"lisa"}, facts);
  EXPECT_THAT(message_of([&] { read_results({first.path(), bounded.path()}); }), HasSubstr("have other rules of the board"));
  const StoredRun silent({"lisa"}, {});
  EXPECT_THAT(message_of([&] {
                read_results({first.path(), silent.path()});
              }),
              HasSubstr("does not say what its figures are of"));
  EXPECT_THAT(message_of([&] {
                read_results({silent.path(), first.path()});
              }),
              HasSubstr(silent.path().string() + " does not say what its figures are of"));
}

TEST(MergedRuns, ACellOfOtherStagesIsRefused) {
  const StoredRun first({"none"});
  StoredRun second({"lisa"});
  Json row = cell("organism", "none", "none", 1, organism(0.5));
  row["stages"]["judge"] = "another";
  second.folder().append(row.dump() + "\n");
  EXPECT_THAT(message_of([&] {
                read_results({first.path(), second.path()});
              }),
              HasSubstr("another cell of model \"organism\""));
}

Json try_of(const std::string& name, const std::string& defense, double leak) {
  Json row = cell("organism", name, defense, 1, organism(leak));
  row["sweep"] = "harmful";
  row["tried"] = {{"lr", name.back() - '0'}};
  return row;
}

std::vector<Json> swept() {
  return {cell("organism", "none", "none", 1, organism(0)),
          cell("organism", "none", "d", 1, organism(0)),
          try_of("harmful#1", "none", 0.5),
          try_of("harmful#2", "none", 0.25),
          try_of("harmful#1", "d", 0.25),
          try_of("harmful#2", "d", 0.75),
          cell("organism", "benign", "none", 1, organism(0))};
}

TEST(Sweeps, AreOneColumnOfTheWorstTry) {
  const ResultsFolder folder(swept());
  const Results results = read_results(folder.path());
  const ModelCells board(results, "organism");
  EXPECT_THAT(board.attacks(), ElementsAre("none", "harmful", "benign"));
  EXPECT_THAT(board.tries("harmful"), ElementsAre("harmful#1", "harmful#2"));
  EXPECT_THAT(board.tries("benign"), ElementsAre("benign"));
  EXPECT_TRUE(board.is_sweep("harmful"));
  EXPECT_FALSE(board.is_sweep("benign"));
  EXPECT_EQ(board.group("harmful", "none")->attack, "harmful#1");
  EXPECT_EQ(board.group("harmful", "d")->attack, "harmful#2");
  EXPECT_EQ(board.value("harmful#1", "d", "leak.organism"), 0.25);
  EXPECT_EQ(board.group("harmful", "d")->tried, Json({{"lr", 2}}));
}

TEST(Sweeps, TriesThatDoNotCountAreNotShown) {
  const ResultsFolder folder(swept());
  const Results results = read_results(folder.path());
  const ModelCells board =
      ModelCells(results, "organism").by("leak.organism", [](const CellGroup& cells) { return cells.attack != "harmful#2"; });
  EXPECT_EQ(board.group("harmful", "d")->attack, "harmful#1");
}

TEST(CellAddresses, NameACellLikeAPath) {
  const ResultsFolder folder(swept());
  const std::string run = folder.path().string();
  const NamedCell pooled = named_cell(run + "/harmful#2/d");
  EXPECT_EQ(pooled.group().attack, "harmful#2");
  EXPECT_FALSE(pooled.seed);
  EXPECT_EQ(named_cell(run + "/organism/benign/none/1").seed, 1);
  EXPECT_EQ(cell_address(pooled.results, pooled.group()), "harmful#2/d");
  EXPECT_THAT(message_of([&] { named_cell(run + "/harmfull#2/d"); }), HasSubstr("Did you mean \"harmful#2/d\"?"));
  EXPECT_THAT(message_of([&] { named_cell(run + "/organism/harmful/d/1"); }),
              HasSubstr("\"organism/harmful/d/1\" is a sweep of " + run + ": name one of its tries, such as \"harmful#1/d\""));
  EXPECT_THAT(message_of([&] { named_cell(run); }), HasSubstr("is a run, not a cell of it"));
  EXPECT_THAT(message_of([&] { named_cell("nowhere/a/b"); }), HasSubstr("begins with no results folder"));
}

TEST(CellAddresses, TellTwoModelsApart) {
  const ResultsFolder folder({cell("a", "x", "none", 1, {}), cell("b", "x", "none", 1, {})});
  const std::string run = folder.path().string();
  EXPECT_EQ(named_cell(run + "/b/x/none").model, "b");
  EXPECT_THAT(message_of([&] { named_cell(run + "/x/none"); }), HasSubstr("after the model"));
}

}  // namespace
}  // namespace holdfast
