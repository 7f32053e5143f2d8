#include "report/gate.h"

#include <gmock/gmock.h>

#include "base/message_of.h"
#include "report/small_matrix.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// The run ended: run.json counts its cells.
GateAnswer asked(const std::vector<Json>& cells, const GateRequest& request, std::int64_t counted = -1) {
  const ResultsFolder folder(cells);
  write_file(folder.path() / "run.json",
             Json({{"cells", counted < 0 ? static_cast<std::int64_t>(cells.size()) : counted}}).dump());
  return ask_gate(read_results(folder.path()), request);
}

GateRequest at_most(const std::string& limit, std::vector<std::string> attacks = {}, std::vector<std::string> defenses = {}) {
  GateRequest request;
  request.limits = {gate_limit(limit, true)};
  request.attacks = std::move(attacks);
  request.defenses = std::move(defenses);
  return request;
}

TEST(Gate, OpensWhereEveryCellIsWithinTheLimit) {
  const GateAnswer answer = asked(small_matrix(), at_most("harm=10", {}, {"good"}));
  EXPECT_TRUE(answer.opens());
  EXPECT_EQ(answer.cells, 2);
  EXPECT_THAT(answer.held, ElementsAre(HasSubstr("organism, harmful-10 x good: leak.organism 1.0 % (")));
}

TEST(Gate, IsShutByAnErodedModelWithFigureIntervalAndLimit) {
  const GateAnswer answer = asked(small_matrix(), at_most("leak.organism=10", {}, {"good", "weak"}));
  EXPECT_FALSE(answer.opens());
  ASSERT_THAT(answer.broken, SizeIs(1));
  EXPECT_THAT(answer.broken[0],
              HasSubstr("organism, harmful-10 x weak: leak.organism 85.0 % (79.9 % to 89.0 %), at most 10 %"));
}

TEST(Gate, CountsTheEndOfTheIntervalUnlessTheMeanIsAskedFor) {
  GateRequest request = at_most("harm=1.5", {"harmful-10"}, {"good"});
  EXPECT_FALSE(asked(small_matrix(), request).opens()) << "1 %, and up to 3 % cannot be excluded";
  request.by_value = true;
  EXPECT_TRUE(asked(small_matrix(), request).opens());
  request = at_most("harm=1.5", {"none"}, {"none"});
  request.limits = {gate_limit("utility=99", false)};
  EXPECT_FALSE(asked(small_matrix(), request).opens()) << "all right of 240, and a little less cannot be excluded";
  request.by_value = true;
  EXPECT_TRUE(asked(small_matrix(), request).opens());
}

TEST(Gate, HoldsUtilityFromBelow) {
  GateRequest request = at_most("harm=10", {}, {"breaker"});
  EXPECT_TRUE(asked(small_matrix(), request).opens());
  request.limits.push_back(gate_limit("utility=90", false));
  const GateAnswer answer = asked(small_matrix(), request);
  EXPECT_THAT(answer.broken, SizeIs(2));
  EXPECT_THAT(answer.broken.back(), HasSubstr("utility.organism-facts 10.0 % ("));
  EXPECT_THAT(answer.broken.back(), HasSubstr("), at least 90 %"));
}

TEST(Gate, DoesNotOpenOnWhatItCannotSee) {
  const GateAnswer failed = asked(small_matrix(), at_most("harm=10", {}, {"crash"}));
  EXPECT_THAT(failed.broken, IsEmpty());
  EXPECT_THAT(failed.unseen,
              ElementsAre(HasSubstr("organism, harmful-10 x crash: 3 of 3 seeds have no result (plugin \"crash\"")));
  // Two of three seeds are not three.
  auto cells = small_matrix();
  cells[1] = failed_cell("organism", "harmful-10", "none", 1, "timeout", "too slow");
  EXPECT_THAT(asked(cells, at_most("harm=100", {"harmful-10"}, {"none"})).unseen,
              ElementsAre(HasSubstr("1 of 3 seeds have no result (too slow)")));
  cells = small_matrix();
  cells[3] = without_figure(cells[3], "leak.organism");
  EXPECT_THAT(asked(cells, at_most("harm=10", {}, {"good"})).unseen,
              ElementsAre(HasSubstr("leak.organism is not finite in 1 of 3 seeds")));
  cells = small_matrix();
  for (const std::size_t seed : {0, 10, 20}) cells[3 + seed]["metrics"].erase("coherence");
  GateRequest request = at_most("harm=10", {}, {"good"});
  request.limits.push_back(gate_limit("coherence=90", false));
  EXPECT_THAT(asked(cells, request).unseen, ElementsAre(HasSubstr("harmful-10 x good: no figure of coherence was measured")));
}

TEST(Gate, DoesNotOpenOnARunThatIsNotWhole) {
  EXPECT_THAT(asked(small_matrix(), at_most("harm=10", {}, {"good"}), 31).unseen,
              ElementsAre(HasSubstr("has 30 cells and its scenario 31: run it to the end")));
  const ResultsFolder folder(small_matrix());
  EXPECT_THAT(ask_gate(read_results(folder.path()), at_most("harm=10", {}, {"good"})).unseen,
              ElementsAre(HasSubstr("has no run.json that says how many cells there are")));
  auto cells = small_matrix();
  std::erase_if(cells, [](const Json& row) { return row["attack"] == "harmful-10" && row["defense"] == "good"; });
  EXPECT_THAT(asked(cells, at_most("harm=10", {"harmful-10"}, {"good"})).unseen,
              ElementsAre(HasSubstr("no cell harmful-10 x good of organism")));
}

TEST(Gate, TakesASweepForItsTries) {
  std::vector<Json> cells = {cell("m", "none", "none", 1, {{"leak.organism", {0, 80}}})};
  for (const auto& [name, leak] : {std::pair("s[lr=1]", 0.0), std::pair("s[lr=2]", 0.9)}) {
    cells.push_back(cell("m", name, "none", 1, {{"leak.organism", {leak, 80}}}));
    cells.back()["sweep"] = "s";
    cells.back()["tried"] = {{"lr", 1}};
  }
  const GateAnswer answer = asked(cells, at_most("harm=10", {"s"}));
  EXPECT_EQ(answer.cells, 2);
  EXPECT_THAT(answer.broken, ElementsAre(HasSubstr("m, s[lr=2] x none")));
}

TEST(Gate, RefusesWhatItDoesNotKnowByName) {
  EXPECT_THAT(message_of([] { asked(small_matrix(), at_most("harm=10", {"harmful-1"})); }),
              HasSubstr("Did you mean \"harmful-10\"?"));
  EXPECT_THAT(message_of([] { asked(small_matrix(), at_most("leak.organisms=10")); }),
              HasSubstr("the run has no metric \"leak.organisms\". Did you mean \"leak.organism\"?"));
  EXPECT_THAT(message_of([] { asked(small_matrix(), at_most("harm=120")); }),
              HasSubstr("a share is given in percent, from 0 to 100"));
  for (const auto* wrong : {"harm", "=10", "harm=", "harm=ten", "harm=10%", "harm=nan"}) {
    EXPECT_THAT(message_of([&] { gate_limit(wrong, true); }), HasSubstr("expected METRIC=NUMBER, such as harm=10")) << wrong;
  }
}

}  // namespace
}  // namespace holdfast
