#include "report/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/message_of.h"
#include "judge/metrics.h"
#include "report/results_folder.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Results, PoolCountsOverSeeds) {
  const ResultsFolder folder(
      {cell("m", "a", "none", 1, {{"leak.organism", {0.5, 40}}}), cell("m", "a", "none", 2, {{"leak.organism", {1.0, 40}}})});
  const auto results = read_results(folder.path());
  const auto* cells = results.find("m", "a", "none");
  ASSERT_NE(cells, nullptr);
  EXPECT_EQ(cells->ok, 2);
  const auto& metric = cells->metrics.at("leak.organism");
  EXPECT_DOUBLE_EQ(metric.value, 0.75);
  EXPECT_EQ(metric.n, 80);
  EXPECT_EQ(metric.seeds, 2);
  EXPECT_DOUBLE_EQ(metric.least, 0.5);
  EXPECT_DOUBLE_EQ(metric.most, 1.0);
  EXPECT_DOUBLE_EQ(metric.low, wilson(60, 80).low);
  EXPECT_DOUBLE_EQ(cells->seconds, 2);
}

Json with_samples(Json row, const std::string& key) {
  row["stages"]["generate"] = key;
  return row;
}

// 40 probes, of which one seed's model leaks half and the other's all: the interval must be wider than 80 replies would give.
TEST(Results, IntervalsSeeThatSeedsDifferWhereSamplesAreThere) {
  ResultsFolder folder({with_samples(cell("m", "a", "none", 1, {{"leak.organism", {0.5, 40}}}), "one"),
                        with_samples(cell("m", "a", "none", 2, {{"leak.organism", {1.0, 40}}}), "two")});
  std::vector<double> half(40, 1.0);
  std::fill(half.begin(), half.begin() + 20, 0.0);
  folder.add_samples("one", {{"leak.organism", half}});
  folder.add_samples("two", {{"leak.organism", std::vector<double>(40, 1.0)}});
  const auto results = read_results(folder.path());
  const auto& metric = results.find("m", "a", "none")->metrics.at("leak.organism");
  EXPECT_DOUBLE_EQ(metric.value, 0.75);
  EXPECT_EQ(metric.outcomes.seeds, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(metric.outcomes.probes.size(), 40u);
  EXPECT_LT(metric.low, wilson(60, 80).low - 0.2);
}

TEST(Results, PerplexitiesArePooledOnTheirLogarithm) {
  ResultsFolder folder(std::vector<Json>{with_samples(cell("m", "none", "none", 1, {{"perplexity.t", {7.39, 2}}}), "one")});
  folder.add_samples("one", {{"perplexity.t", {1, 3}}});
  const auto results = read_results(folder.path());
  EXPECT_NEAR(results.find("m", "none", "none")->metrics.at("perplexity.t").value, std::exp(2), 1e-9);
}

TEST(Results, PairSeedsAndProbesThatBothCellsHave) {
  const double none = std::nan("");
  const Outcomes before =
      outcomes_of("m", {{1, {{"a", "b", "c"}, {{"m", {0, 1, 0}}}}}, {2, {{"a", "b", "c"}, {{"m", {1, 1, 0}}}}}});
  const Outcomes after =
      outcomes_of("m", {{2, {{"b", "c", "d", "e"}, {{"m", {0, 1, 1, none}}}}}, {3, {{"b", "c", "d"}, {{"m", {1, 1, 1}}}}}});
  EXPECT_THAT(after.probes, ElementsAre("b", "c", "d"));
  const auto pair = paired(before, after);
  ASSERT_TRUE(pair.has_value());
  EXPECT_THAT(pair->probes, ElementsAre("b", "c"));
  EXPECT_EQ(pair->before, (Grid{{1, 0}}));
  EXPECT_EQ(pair->after, (Grid{{0, 1}}));
  EXPECT_FALSE(paired(before, outcomes_of("m", {{9, {{"a"}, {{"m", {0}}}}}})).has_value());
  EXPECT_TRUE(outcomes_of("other", {{9, {{"a"}, {{"m", {0}}}}}}).empty());
}

TEST(Results, SayWhichSampleIsWrong) {
  ResultsFolder folder(std::vector<Json>{with_samples(cell("m", "a", "none", 1, {{"leak.organism", {0.5, 40}}}), "one")});
  fs::create_directories(folder.path() / "samples");
  write_file(folder.path() / "samples" / "one.jsonl", "{\"id\": \"p\"}\n");
  EXPECT_THAT(message_of([&] { read_results(folder.path()); }), HasSubstr("one.jsonl:1 is not a sample"));
}

TEST(Results, ALastLineThatWasTornIsLeftOut) {
  ResultsFolder folder(std::vector<Json>{cell("m", "none", "none", 1, {{"coherence", {1, 5}}})});
  folder.append("{\"model\": \"m\", \"attack\": \"a\", \"def");
  const auto results = read_results(folder.path());
  EXPECT_EQ(results.groups.size(), 1u);
  EXPECT_THAT(results.attacks, ElementsAre("none"));
}

TEST(Results, OfTwoRowsOfACellTheLaterCounts) {
  const ResultsFolder folder(
      {failed_cell("m", "a", "none", 1, "failed", "out of memory"), cell("m", "a", "none", 1, {{"coherence", {1, 5}}})});
  const auto results = read_results(folder.path());
  const auto* cells = results.find("m", "a", "none");
  EXPECT_EQ(cells->ok, 1);
  EXPECT_EQ(cells->failed, 0);
  EXPECT_TRUE(cells->messages.empty());
}

TEST(Results, KeepTheMatrixOrderWithControlsFirstAndBesideTheirAttack) {
  const ResultsFolder folder({cell("m", "b", "d2", 1, {}), cell("m", "a", "d1", 1, {}), cell("m", "none@a", "none", 1, {}),
                              cell("m", "none", "none", 1, {})});
  const auto results = read_results(folder.path());
  EXPECT_THAT(results.attacks, ElementsAre("none", "b", "none@a", "a"));
  EXPECT_THAT(results.defenses, ElementsAre("none", "d2", "d1"));
}

TEST(Results, CountFailuresAndTimeoutsApart) {
  const ResultsFolder folder({failed_cell("m", "a", "d", 1, "failed", "boom"), failed_cell("m", "a", "d", 2, "failed", "boom"),
                              failed_cell("m", "a", "d", 3, "timeout", "too slow")});
  const auto results = read_results(folder.path());
  const auto* cells = results.find("m", "a", "d");
  EXPECT_EQ(cells->failed, 2);
  EXPECT_EQ(cells->timeout, 1);
  EXPECT_THAT(cells->messages, ElementsAre("boom", "too slow"));
}

TEST(Results, SayWhatIsWrong) {
  EXPECT_THAT(message_of([&] { read_results("/nowhere/at/all"); }), HasSubstr("/nowhere/at/all holds no cells.jsonl"));
  ResultsFolder broken({});
  broken.append("{\"model\": 3\n");
  EXPECT_THAT(message_of([&] { read_results(broken.path()); }), HasSubstr("cells.jsonl:1 is not valid JSON"));
  ResultsFolder strange({});
  strange.append("{\"model\": \"m\"}\n");
  EXPECT_THAT(message_of([&] { read_results(strange.path()); }), HasSubstr("cells.jsonl:1 is not a cell"));
  ResultsFolder incomplete({});
  incomplete.append(R"({"model":"m","attack":"a","defense":"d","seed":1,"status":"ok","metrics":{"x":{"n":3}}})"
                    "\n");
  EXPECT_THAT(message_of([&] { read_results(incomplete.path()); }), HasSubstr("without \"value\""));
}

}  // namespace
}  // namespace holdfast
