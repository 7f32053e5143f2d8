#include "plan/stage_document.h"

#include <gtest/gtest.h>

#include <set>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

TEST(StageDocument, IsTheCanonicalTextOfItsFields) {
  TextPool pool;
  const Json value = {{"rate", 1e-4}, {"name", "\"quoted\"\n"}, {"none", nullptr}, {"list", {1, 2.0, true}}};
  StageDocument document;
  EXPECT_EQ(document.text(), "{}");
  document.set("seed", pool.of(3));
  document.set("aligned", pool.of("text"));
  document.set("plugin", pool.of(value));
  const Json same = {{"plugin", value}, {"seed", 3}, {"aligned", "text"}};
  EXPECT_EQ(document.text(), canonical(same));
  EXPECT_EQ(document.json(), same);
  EXPECT_EQ(*document.find("seed"), "3");
  EXPECT_FALSE(document.contains("se"));
  document.set("seed", pool.of(4));
  EXPECT_EQ(*document.find("seed"), "4");
}

TEST(StageDocument, EqualFieldsOfOnePoolAreEqual) {
  TextPool pool;
  StageDocument a, b;
  a.set("x", pool.of(Json{{"k", 1}}));
  a.set("y", pool.of("z"));
  b.set("y", pool.of("z"));
  b.set("x", pool.of_text(R"({"k":1})"));
  EXPECT_TRUE(a == b);
  EXPECT_EQ(a.hash(), b.hash());
  b.set("y", pool.of("other"));
  EXPECT_FALSE(a == b);
}

TEST(StageDocument, IsSharedByStagesThatAreMadeOfTheSame) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kOrganism + "[[attack]]\nplugin = \"benign\"\n[[attack]]\n"
                                                              "plugin = \"harmful-examples\"\n"));
  std::set<const StageDocument*> judges;
  int count = 0;
  for (const auto& node : plan.nodes) {
    if (node.kind != StageKind::kJudge) continue;
    ++count;
    judges.insert(node.task.get());
  }
  EXPECT_EQ(count, 3 * 3);
  EXPECT_EQ(judges.size(), 3u) << "one for each judge";
}

}  // namespace
}  // namespace holdfast
