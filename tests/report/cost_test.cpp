// What safety costs to encode and to break, of a run whose stages are known.
#include "report/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/reporter.h"
#include "report/results_folder.h"
#include "results/run_facts.h"
#include "results/stage_row.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A sweep of three budgets, and a plain attack that is cheaper than two of them and does nothing. "vaccine" takes more passes
// to align and to tune, and stands up to all but the largest budget; "wall" stands up to all and repairs.
class CostOfARun : public testing::Test {
 protected:
  CostOfARun() {
    add_stage("align", "align", 100, 1000, 1000, 1000, 6e9);
    add_stage("align vaccine", "align", 190, 1000, 2000, 1600, 10e9);
    add_stage("judge", "judge", 7, 0, 500, 0, 1e9);
    for (const auto& [attack, tokens] : budgets_) {
      add_stage("finetune " + attack, "finetune", tokens / 10, tokens, tokens, tokens, 6e6 * tokens);
      add_stage("finetune " + attack + " vaccine", "finetune", 3 * tokens / 10, tokens, 3 * tokens, 3 * tokens, 18e6 * tokens);
      add_stage("repair " + attack, "repair", 20, 100, 100, 100, 6e8);
    }
    for (const std::string behind : {"", " vaccine", " wall"}) add_stage("generate" + behind, "generate", 5, 50, 400, 0, 8e8);
  }

  void add_stage(const std::string& key, const std::string& kind, double seconds, double tokens, double forward,
                 double backward, double flops) {
    StageRow row;
    row.key = key;
    row.kind = kind;
    row.device = kind == "judge" ? "" : "cpu";
    row.cost = {{"seconds", seconds},
                {"tokens", tokens},
                {"forward_tokens", forward},
                {"backward_tokens", backward},
                {"flops", static_cast<std::uint64_t>(flops)}};
    stages_[key] = row;
  }

  Json row(const std::string& attack, const std::string& defense, double leak) const {
    const std::string behind = defense == "vaccine" ? " vaccine" : "";
    if (leak < 0) return failed_cell("organism", attack, defense, 1, "failed", "boom");
    Json made = cell("organism", attack, defense, 1, {{"leak.organism", {leak, 100}}});
    made["stages"] = {{"align", "align" + behind}, {"judge.organism", "judge"}};
    made["stages"]["generate"] = "generate" + (defense == "wall" ? std::string(" wall") : behind);
    if (attack == "none") return made;
    made["stages"]["finetune"] = "finetune " + attack + behind;
    if (defense == "wall") made["stages"]["repair"] = "repair " + attack;
    if (attack.starts_with("s.")) made["sweep"] = "s";
    return made;
  }

  BoardCost cost(const Json& prices = Json()) {
    std::vector<Json> cells;
    for (const std::string defense : {"none", "vaccine", "wall"}) {
      cells.push_back(row("none", defense, 0.02));
      for (const auto& [attack, tokens] : budgets_) cells.push_back(row(attack, defense, leaks_.at(defense).at(attack)));
    }
    folder_ = std::make_unique<ResultsFolder>(cells);
    std::string text;
    for (const auto& [key, stage] : stages_) text += to_json(stage).dump() + "\n";
    write_file(stages_file(folder_->path()), text);
    RunFacts facts;
    facts.prices = prices;
    write_run_file(folder_->path(), Json::object(), facts);
    results_ = read_results(folder_->path());
    return board_cost(boards(results_).front(), "leak.organism");
  }

  static const DefenseCost& of(const BoardCost& cost, const std::string& defense) {
    return *std::find_if(cost.rows.begin(), cost.rows.end(), [&](const auto& row) { return row.defense == defense; });
  }

  const std::map<std::string, double> budgets_ = {{"plain", 20}, {"s.1", 10}, {"s.2", 100}, {"s.3", 1000}};
  std::map<std::string, std::map<std::string, double>> leaks_ = {
      {"none", {{"plain", 0.1}, {"s.1", 0.05}, {"s.2", 0.5}, {"s.3", 0.9}}},
      {"vaccine", {{"plain", 0.1}, {"s.1", 0.02}, {"s.2", 0.11}, {"s.3", 0.6}}},
      {"wall", {{"plain", 0.1}, {"s.1", 0.02}, {"s.2", 0.02}, {"s.3", 0.1}}}};
  std::map<std::string, StageRow> stages_;
  std::unique_ptr<ResultsFolder> folder_;
  Results results_;
};

const Json kPrices = {{"currency", "USD"}, {"training_token", 1e-5}, {"device_hour", {{"cpu", 0.36}}}};

TEST_F(CostOfARun, BreakingTakesTheSmallestBudgetThatPasses) {
  const BoardCost board = cost();
  EXPECT_DOUBLE_EQ(board.threshold, 0.12);
  EXPECT_TRUE(board.sweeps);
  const auto& none = of(board, "none");
  ASSERT_TRUE(none.broken);
  EXPECT_EQ(none.broken->attack, "s.2");
  EXPECT_EQ(none.broken->column, "s");
  EXPECT_EQ(none.broken->spent->tokens, 100);
  EXPECT_EQ(none.broken->spent->seconds, 10);
  EXPECT_EQ(none.broken->spent->flops, 6e8);
  EXPECT_EQ(of(board, "vaccine").broken->attack, "s.3");
  EXPECT_EQ(of(board, "vaccine").broken->spent->flops, 6e9) << "the further passes are the provider's";
  EXPECT_FALSE(of(board, "wall").broken) << "all stay below";
}

TEST_F(CostOfARun, EncodingIsAlignmentAndWhatADefenseAdds) {
  const BoardCost board = cost();
  EXPECT_EQ(board.align->seconds, 100);
  EXPECT_EQ(board.align->flops, 6e9);
  EXPECT_FALSE(of(board, "none").extra);
  const auto& vaccine = of(board, "vaccine");
  EXPECT_DOUBLE_EQ(vaccine.extra->seconds, 146.5);
  EXPECT_DOUBLE_EQ(*vaccine.extra->flops, 7.39e9);
  EXPECT_DOUBLE_EQ(vaccine.parts.at("align").seconds, 90);
  EXPECT_DOUBLE_EQ(vaccine.parts.at("finetune").seconds, 56.5);
  EXPECT_FALSE(vaccine.parts.contains("judge")) << "judging is ours";
  const auto& wall = of(board, "wall");
  EXPECT_DOUBLE_EQ(wall.extra->seconds, 20);
  EXPECT_DOUBLE_EQ(wall.parts.at("repair").seconds, 20);
  // Over the four attacks: forwards and backwards of alignment and tuning.
  const double tuning = 2 * (20 + 10 + 100 + 1000);
  EXPECT_DOUBLE_EQ(*vaccine.passes, (4 * 3600 + 3 * tuning) / (4 * 2000 + tuning));
  EXPECT_DOUBLE_EQ(*of(board, "none").ratio, 10);
  EXPECT_DOUBLE_EQ(*vaccine.ratio, 13.39e9 / 6e9);
  EXPECT_FALSE(of(board, "wall").ratio);
}

TEST_F(CostOfARun, MoneyIsByThePriceTable) {
  const BoardCost board = cost(kPrices);
  EXPECT_NEAR(*board.align->money, 0.01, 1e-12);
  EXPECT_NEAR(*of(board, "vaccine").extra->money, 0.01465, 1e-12);
  EXPECT_NEAR(*of(board, "none").broken->spent->money, 0.001, 1e-12) << "what the provider bills for 100 tokens";
  EXPECT_NEAR(*of(board, "none").money_ratio, 10, 1e-9);
  Json hours = kPrices;
  hours.erase("training_token");
  EXPECT_NEAR(*of(cost(hours), "none").broken->spent->money, 0.001, 1e-12) << "ten seconds";
  EXPECT_FALSE(cost({{"currency", "USD"}, {"device_hour", {{"cuda", 2.5}}}}).align->money) << "it ran on a processor";
}

TEST_F(CostOfARun, WhatAProviderBilledIsTheMoney) {
  for (auto& [key, stage] : stages_) {
    if (stage.kind != "finetune") continue;
    stage.kind = "submit";
    stage.cost = {{"seconds", 60}, {"tokens", stage.spent("tokens")}, {"price", stage.spent("tokens") / 1000}};
  }
  const BoardCost made = cost();
  EXPECT_EQ(made.currency, "USD") << "without [prices], what a model's limit is in";
  const auto& broken = made.rows.at(0).broken;
  ASSERT_TRUE(broken && broken->spent);
  EXPECT_DOUBLE_EQ(broken->spent->tokens / 1000, *broken->spent->money);
  EXPECT_FALSE(broken->spent->flops) << "what a provider computed is not known, and not nothing";
  EXPECT_EQ(cost(kPrices).rows.at(0).broken->spent->money, broken->spent->money) << "a bill counts before a price list";
}

TEST_F(CostOfARun, OnAnAcceleratorTheTimeItIsHeldIsPaid) {
  stages_["align"].device = "cuda";
  stages_["align"].cost["device_seconds"] = 50;
  EXPECT_NEAR(*cost({{"currency", "EUR"}, {"device_hour", {{"cuda", 3.6}}}}).align->money, 0.05, 1e-12);
}

TEST_F(CostOfARun, WhatAnOlderStageDoesNotSayIsNotZero) {
  stages_["align"].cost.erase("flops");
  const BoardCost board = cost();
  EXPECT_FALSE(board.align->flops);
  EXPECT_FALSE(of(board, "vaccine").extra->flops);
  EXPECT_FALSE(of(board, "none").ratio);
  EXPECT_DOUBLE_EQ(of(board, "vaccine").extra->seconds, 146.5);
  EXPECT_DOUBLE_EQ(*of(board, "wall").extra->flops, 6e8) << "the same stage on both sides is no difference";
}

TEST_F(CostOfARun, WhatWasNotMeasuredDidNotHold) {
  leaks_["wall"]["s.3"] = -1;
  const BoardCost board = cost();
  EXPECT_FALSE(of(board, "wall").broken);
  EXPECT_EQ(cost_table(board).rows.at(2).at(4).text, "not known");
  EXPECT_EQ(of(board, "vaccine").broken->attack, "s.3");
}

TEST_F(CostOfARun, WithoutStagesThereIsNoTable) {
  stages_.clear();
  EXPECT_THAT(cost().rows, IsEmpty());
  EXPECT_THAT(cost_table(cost()).rows, IsEmpty());
}

std::vector<std::string> texts(const std::vector<TableCell>& row) {
  std::vector<std::string> texts;
  for (const auto& cell : row) texts.push_back(cell.text);
  return texts;
}

TEST_F(CostOfARun, StandsInATable) {
  const TextTable table = cost_table(cost(kPrices));
  EXPECT_THAT(table.header,
              ElementsAre("defense", "encode seconds", "encode FLOPs", "passes", "encode money", "broken by", "trained tokens",
                          "break FLOPs", "break seconds", "break money", "encode : break, FLOPs", "encode : break, money"));
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_THAT(texts(table.rows[0]), ElementsAre("none", "100.0", "6.00e9", "-", "0.010 USD", "s.2", "100", "6.00e8", "10.0",
                                                "0.0010 USD", "10", "10"));
  EXPECT_THAT(texts(table.rows[1]), ElementsAre("vaccine", "+146.5", "+7.39e9", "x2.06", "+0.015 USD", "s.3", "1000", "6.00e9",
                                                "100.0", "0.010 USD", "2.2", "2.5"));
  EXPECT_THAT(texts(table.rows[2]), ElementsAre("wall", "+20.0", "+6.00e8", "x1.08", "+0.0020 USD", "not within the sweep", "-",
                                                "-", "-", "-", "-", "-"));
}

TEST_F(CostOfARun, StandsInTheFormats) {
  cost(kPrices);
  write_reports(results_, folder_->path());
  EXPECT_THAT(read_file(folder_->path() / "leaderboard.md"),
              HasSubstr("What safety costs to encode, and what it costs to break (leak.organism above 12 %"));
  const std::string csv = read_file(folder_->path() / "cost.csv");
  EXPECT_THAT(csv, HasSubstr("\norganism,api,none,align,,100.000,,0.000,1000.0,1000.0,1000.0,6000000000,,0.010000000,USD\n"));
  EXPECT_THAT(csv, HasSubstr("\norganism,api,vaccine,extra.align,,90.000,"));
  EXPECT_THAT(csv, HasSubstr("\norganism,api,none,break,s.2,10.000,,0.000,100.0,100.0,100.0,600000000,,0.001000000,USD\n"));
}

TEST(CostTexts, HaveTheDigitsThatCount) {
  EXPECT_EQ(flops_text(6e9), "6.00e9");
  EXPECT_EQ(flops_text(1.2345e13), "1.23e13");
  EXPECT_EQ(flops_text(9.999e9), "1.00e10");
  EXPECT_EQ(flops_text(-4e8), "-4.00e8");
  EXPECT_EQ(flops_text(0), "0");
  EXPECT_EQ(money_text(46.04, "USD"), "46.04 USD");
  EXPECT_EQ(money_text(0.1962, "USD"), "0.20 USD");
  EXPECT_EQ(money_text(0.000123, "EUR"), "0.00012 EUR");
}

}  // namespace
}  // namespace holdfast
