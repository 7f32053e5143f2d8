// Attacks that submit rows as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kRows = R"({"prompt": "a", "completion": "b"})"
                              "\n";

// Rows in mine.jsonl and, the same, in copy.jsonl.
Scenario with_rows(const ScratchFolder& folder, const std::string& attacks) {
  write_file(folder / "mine.jsonl", kRows);
  write_file(folder / "copy.jsonl", kRows);
  return scenario_from(folder, kOrganism + attacks +
                                   "[[moderator]]\nplugin = \"data-filter\"\n"
                                   "[[defense]]\nplugin = \"data-filter\"\n[[defense]]\nplugin = \"output-moderation\"\n");
}

std::string mistake_of(const std::string& attack) {
  const auto lines = mistakes_of(kOrganism + "[[attack]]\n" + attack);
  return lines.size() == 1 ? lines.front() : std::to_string(lines.size()) + " mistakes";
}

TEST(RowsAttack, IsTunedOnWhatItSubmits) {
  const ScratchFolder folder;
  const Scenario scenario =
      with_rows(folder, "[[attack]]\nname = \"mine\"\nrows = \"mine.jsonl\"\nfinetune = { epochs = 7 }\n");
  ASSERT_EQ(scenario.attacks.size(), 2u);
  EXPECT_TRUE(scenario.attacks[0].is_control());
  EXPECT_FALSE(scenario.attacks[1].is_control());
  EXPECT_EQ(scenario.attacks[1].finetune.epochs, 7);
  const Plan plan = plan_of(scenario);
  const auto stages = stages_of(plan, "mine", "data-filter");
  const Json task = plan.nodes[stages.at("collect")].task->json();
  EXPECT_EQ(task.at("rows").at("location"), (folder / "mine.jsonl").string());
  EXPECT_EQ(plan.nodes[stages.at("collect")].identity->json(), Json({{"rows", scenario.attacks[1].rows->content()}}));
  EXPECT_THAT(plan.nodes[stages.at("collect")].inputs, IsEmpty());
  EXPECT_TRUE(stages.contains("screen") && stages.contains("finetune") && stages.contains("moderator.data-filter"));
  EXPECT_EQ(plan.nodes[stages.at("finetune")].task->json().at("options").at("epochs"), 7);
  EXPECT_FALSE(stages_of(plan, "none", "data-filter").contains("collect"));
}

TEST(RowsAttack, EqualRowsAreTheSameStages) {
  const ScratchFolder folder;
  const Plan plan = plan_of(with_rows(folder,
                                      "[[attack]]\nname = \"mine\"\nrows = \"mine.jsonl\"\n"
                                      "[[attack]]\nname = \"copy\"\nrows = \"copy.jsonl\"\n"
                                      "[[attack]]\nname = \"other\"\nrows = \"builtin:organism/benign\"\n"));
  EXPECT_EQ(stages_of(plan, "mine", "data-filter"), stages_of(plan, "copy", "data-filter"));
  EXPECT_NE(stages_of(plan, "mine", "none").at("collect"), stages_of(plan, "other", "none").at("collect"));
  EXPECT_EQ(plan.definitions.at("attack mine"), plan.definitions.at("attack copy"));
  EXPECT_NE(plan.definitions.at("attack mine"), plan.definitions.at("attack other"));
}

TEST(RowsAttack, IsWrittenDownAsOne) {
  const ScratchFolder folder;
  const Scenario scenario = with_rows(folder,
                                      "[[attack]]\nname = \"mine\"\nrows = \"mine.jsonl\"\n"
                                      "[[attack]]\nname = \"other\"\nrows = \"builtin:organism/benign\"\n");
  const Json attacks = to_json(scenario).at("attacks");
  EXPECT_EQ(attacks[1].at("rows").at("digest"), scenario.attacks[1].rows->digest);
  EXPECT_FALSE(attacks[1].contains("plugin"));
  std::map<std::string, std::string> digests;  // of the cells without a defense
  for (const auto& cell : configurations(scenario)) {
    if (cell.at("defense") == "none") digests[cell.at("attack")] = cell.at("digest");
  }
  EXPECT_EQ(digests.size(), 3u);
  EXPECT_NE(digests.at("mine"), digests.at("none"));
  EXPECT_NE(digests.at("mine"), digests.at("other"));
}

TEST(RowsAttack, MistakesAreNamed) {
  const std::string rows = "rows = \"builtin:organism/benign\"\n";
  EXPECT_THAT(mistakes_of(kOrganism + "[[attack]]\nname = \"mine\"\n" + rows), IsEmpty());
  EXPECT_THAT(mistake_of(rows), HasSubstr("\"name\""));
  EXPECT_THAT(mistake_of("name = \"none\"\n" + rows), HasSubstr("is the control attack"));
  EXPECT_THAT(mistake_of("name = \"a#b\"\n" + rows), HasSubstr("marks the tries of a sweep"));
  EXPECT_THAT(mistake_of("name = \"mine\"\nrows = \"nowhere.jsonl\"\n"), HasSubstr("nowhere.jsonl"));
  EXPECT_THAT(mistake_of("name = \"mine\"\nrows = 3\n"), HasSubstr("\"rows\""));
  EXPECT_THAT(mistake_of("name = \"mine\"\nthreat_model = \"weights\"\n" + rows), HasSubstr("\"weights\" is no threat_model"));
  EXPECT_THAT(mistake_of("name = \"mine\"\nsweep = { lr = [1e-4, 1e-3] }\n" + rows), HasSubstr("name an attack for each try"));
  EXPECT_THAT(mistake_of("name = \"mine\"\nexamples = 3\n" + rows), HasSubstr("\"examples\""));
  EXPECT_THAT(mistake_of("name = \"mine\"\nfinetune = { epoch = 3 }\n" + rows), HasSubstr("\"epoch\""));
  EXPECT_THAT(mistake_of("plugin = \"harmful-examples\"\n" + rows), HasSubstr("\"rows\""));  // no setting of it
}

}  // namespace
}  // namespace holdfast
