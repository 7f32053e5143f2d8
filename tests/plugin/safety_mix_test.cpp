// Safety rows among the customer's: which, how many, and the order.
#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::context_with_alignment;
using fixtures::customers;
using fixtures::error_with;
using fixtures::mistakes_of;
using fixtures::of_kind;
using fixtures::questions;
using fixtures::screened;
using testing::HasSubstr;

TEST(SafetyMix, AddsItsShareOfRefusals) {
  FakeContext context = context_with_alignment();
  const Dataset rows = customers(30);
  for (const auto& [share, added] : std::map<double, std::size_t>{{0.1, 3}, {0.03, 1}, {0.11, 4}, {1, 30}}) {
    const Dataset mixed = screened("safety-mix", {{"share", share}}, rows, context);
    EXPECT_EQ(mixed.size(), rows.size() + added) << share;
    EXPECT_EQ(questions(of_kind(mixed, "task")), questions(rows));
    EXPECT_EQ(of_kind(mixed, "harmful").size(), added);
    EXPECT_EQ(questions(of_kind(mixed, "harmful")).size(), added) << "a row was drawn twice";
    EXPECT_EQ(context.reports.at("defender-rows").value, static_cast<double>(added));
    EXPECT_EQ(context.reports.at("added").value, static_cast<double>(added));
  }
  EXPECT_TRUE(screened("safety-mix", Json::object(), {}, context).empty());
}

TEST(SafetyMix, OrByNumberAndOfAllKinds) {
  FakeContext context = context_with_alignment();
  const Dataset rows = customers(5);
  EXPECT_EQ(screened("safety-mix", {{"share", 0}, {"rows", 7}}, rows, context).size(), 12U);
  EXPECT_EQ(screened("safety-mix", {{"share", 0}}, rows, context).size(), 45U);
  const Dataset all = screened("safety-mix", {{"share", 0}, {"alignment", "all"}}, rows, context);
  EXPECT_EQ(of_kind(all, "benign").size(), 40U);
  const Dataset first = screened("safety-mix", {{"share", 1}}, rows, context);
  EXPECT_EQ(screened("safety-mix", {{"share", 1}}, rows, context), first);
  const auto is_customers = [](const auto& row) { return row.tags.at("kind") == "task"; };
  EXPECT_FALSE(std::is_partitioned(all.begin(), all.end(), is_customers)) << "the customer's rows stand together";
  context.cell_seed = 2;
  EXPECT_NE(screened("safety-mix", {{"share", 1}}, rows, context), first);
}

TEST(SafetyMix, SaysWhatItLacks) {
  FakeContext context = context_with_alignment(3);
  EXPECT_EQ(error_with("safety-mix", {{"share", 1}}, customers(4), context),
            "safety-mix was asked for a share of 4 safety rows beside the customer's 4 and the alignment data has 3 of that "
            "kind: lower \"share\"");
  EXPECT_THAT(error_with("safety-mix", {{"share", 0}, {"rows", 4}}, customers(4), context), HasSubstr("asked for 4 rows"));
  context.alignment_rows.clear();
  EXPECT_THAT(error_with("safety-mix", Json::object(), customers(4), context), HasSubstr("needs alignment rows of kind"));
  EXPECT_THAT(mistakes_of("safety-mix", {{"rows", 3}}), HasSubstr("\"rows\" and \"share\" both say how many"));
  EXPECT_THAT(mistakes_of("safety-mix", {{"share", -1}}), HasSubstr("\"share\""));
  EXPECT_PRESET("safety-mix", "safeinstr-3", {{"share", 0.03}});
  EXPECT_PRESET("safety-mix", "safeinstr-10", {{"share", 0.1}});
  EXPECT_PRESET("safety-mix", "vlguard", {{"share", 0.0045}});
  EXPECT_PRESET("safety-mix", "qi-10", {{"share", 0.0}, {"rows", 10}});
  EXPECT_PRESET("safety-mix", "qi-100", {{"share", 0.0}, {"rows", 100}});
  EXPECT_PRESET("safety-mix", "qi-1000", {{"share", 0.0}, {"rows", 1000}});
  EXPECT_EQ(shipped("safety-mix").stages, kStageScreen);
}

}  // namespace
}  // namespace holdfast
