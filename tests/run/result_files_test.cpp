#include "run/result_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/scratch_folder.h"
#include "results/generations.h"
#include "results/sample.h"
#include "results/verdicts.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string key_of(std::size_t node) { return std::string(63, 'a') + std::to_string(node); }

// Two cells of one aligned model (node 0), each with replies (1, 3) and a judge (2, 4).
class ResultFilesTest : public ::testing::Test {
 protected:
  ResultFilesTest() : store_(folder_ / "store"), rows_(plan_, outcomes_, store_) {
    add_node(StageKind::kAlign, 2);
    plan_.models = {"m"};
    plan_.attacks = {"a"};
    plan_.defenses = {"none", "d"};
    plan_.stage_names = {"align", "generate", "judge.keyword"};
    for (std::uint32_t defense = 0; defense < 2; ++defense) {
      const std::uint32_t replies = add_node(StageKind::kGenerate, 1);
      const std::uint32_t verdicts = add_node(StageKind::kJudge, 1);
      plan_.cells.push_back({0, 0, defense, 1, {{0, 0}, {1, replies}, {2, verdicts}}});
    }
    outcomes_.resize(plan_.nodes.size());
    for (std::size_t node = 0; node < outcomes_.size(); ++node) outcomes_[node].key = key_of(node);
    store_stage(0, {}, {{"last-loss", {{"value", 2}, {"n", 7}}}, {"defender-rows", {{"value", 40}, {"n", 40}}}});
    store_replies(1);
    store_verdicts(2, R"({"x.one":1})", R"({"x.one":0})");
    store_replies(3);
    store_verdicts(4, R"({"x.one":1})", R"({"x.one":null})");
  }

  std::uint32_t add_node(StageKind kind, std::uint32_t cells) {
    PlanNode node;
    node.kind = kind;
    node.cells = cells;
    plan_.nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(plan_.nodes.size() - 1);
  }

  void store_stage(std::size_t node, const std::function<void(const fs::path&)>& write, const Json& reports = Json::object()) {
    const fs::path made = store_.begin();
    if (write) write(made);
    Manifest manifest;
    manifest.kind = plan_.nodes[node].kind;
    manifest.key = outcomes_[node].key;
    manifest.cost = {{"seconds", 4.0},
                     {"forward_tokens", 10},
                     {"backward_tokens", node == 0 ? 10 : 0},
                     {"peak_memory", 100 - node},
                     {"flops", std::uint64_t{1} << 60},
                     {"cpu_seconds", 6.5}};
    if (node == 1) manifest.cost["device_seconds"] = 3.5;
    if (node != 4) manifest.cost["energy_joules"] = 20;
    manifest.reports = reports;
    store_.commit(made, manifest);
  }

  void store_replies(std::size_t node) {
    store_stage(node, [](const fs::path& made) {
      const Conversation asked = {{"user", "q"}};
      write_generations(made / kGenerationsFile, {{"p", {{"kind", "harmful"}, {"category", "c"}}, asked, asked, asked, "no"},
                                                  {"q", {{"kind", "benign"}}, asked, asked, asked, "yes"}});
    });
  }

  void store_verdicts(std::size_t node, const std::string& first, const std::string& second) {
    store_stage(node, [&](const fs::path& made) {
      write_file(made / kVerdictsFile,
                 R"({"id":"p","outcomes":)" + first + "}\n" + R"({"id":"q","outcomes":)" + second + "}\n");
    });
  }

  void done(ResultFiles& files, std::size_t node) {
    outcomes_[node].state = NodeState::kDone;
    files.append(node);
  }

  ResultFiles files() { return ResultFiles(folder_ / "out", plan_, rows_, false); }

  std::vector<CellRow> written() {
    std::vector<CellRow> rows;
    read_cell_rows(cells_file(folder_ / "out"), [&](CellRow row) { rows.push_back(std::move(row)); });
    return rows;
  }

  std::vector<std::string> defenses() {
    std::vector<std::string> names;
    for (const auto& row : written()) names.push_back(row.defense);
    return names;
  }

  ScratchFolder folder_;
  Plan plan_;
  std::vector<NodeOutcome> outcomes_;
  Store store_;
  Rows rows_;
};

TEST_F(ResultFilesTest, ARowSaysWhatItsStagesGave) {
  for (auto& outcome : outcomes_) outcome.state = NodeState::kDone;
  ResultFiles made = files();
  made.write_cells();
  const auto rows = written();
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_TRUE(rows[0].ok());
  EXPECT_DOUBLE_EQ(rows[0].metrics.at("x.one").value, 0.5);
  EXPECT_EQ(rows[0].metrics.at("x.one").n, 2);
  EXPECT_DOUBLE_EQ(rows[0].seconds, 12);
  EXPECT_DOUBLE_EQ(rows[0].seconds_shared, 10);
  EXPECT_EQ(rows[0].forward_tokens, 30);
  EXPECT_EQ(rows[0].backward_tokens, 10);
  EXPECT_EQ(rows[0].peak_memory, 100);
  EXPECT_EQ(rows[0].flops, 3 * (std::uint64_t{1} << 60));
  EXPECT_EQ(rows[0].cpu_seconds, 19.5);
  EXPECT_EQ(rows[0].device_seconds, 3.5);
  EXPECT_EQ(rows[0].energy_joules, 60);
  EXPECT_EQ(rows[1].device_seconds, std::nullopt);
  EXPECT_EQ(rows[1].energy_joules, std::nullopt) << "a sum without one of its stages would look like the whole";
  EXPECT_EQ(rows[0].defender_rows, 40);
  EXPECT_EQ(rows[0].reports,
            (Json{{"align.defender-rows", {{"value", 40}, {"n", 40}}}, {"align.last-loss", {{"value", 2}, {"n", 7}}}}));
  EXPECT_EQ(rows[0].stages.at("judge.keyword"), key_of(2));
  EXPECT_EQ(rows[1].message, "these figures are not finite: x.one");
  EXPECT_EQ(made.failed(), 0);
}

TEST_F(ResultFilesTest, SamplesHoldRepliesOnlyWhenAsked) {
  for (auto& outcome : outcomes_) outcome.state = NodeState::kDone;
  const Cell& cell = plan_.cells[0];
  EXPECT_EQ(rows_.samples(cell, false).find("\"reply\""), std::string::npos);
  EXPECT_THAT(rows_.samples(cell, true), HasSubstr(R"("prompt":[{"content":"q","role":"user"}],"reply":"no")"));
  EXPECT_NE(rows_.samples_stamp(cell, true), rows_.samples_stamp(cell, false));
  std::vector<std::string> ids;
  files().write_cells();
  read_samples(samples_file(folder_ / "out", key_of(1)), [&](const Sample& sample) {
    ids.push_back(sample.id + " " + sample.kind);
    EXPECT_EQ(sample.reply->category.has_value(), sample.id == "p");
    EXPECT_FALSE(sample.reply->text.has_value());
  });
  EXPECT_THAT(ids, ElementsAre("p harmful", "q benign"));
}

TEST_F(ResultFilesTest, ACellIsAppendedWithItsLastStageWhateverTheOrderAndOnce) {
  ResultFiles made = files();
  made.write_cells();
  for (const std::size_t node : {4, 2, 0, 3}) done(made, node);
  EXPECT_THAT(defenses(), ElementsAre("d"));
  EXPECT_TRUE(fs::exists(samples_file(folder_ / "out", key_of(3))));
  done(made, 0);  // made again for files that were given up
  EXPECT_THAT(defenses(), ElementsAre("d"));
  done(made, 1);
  EXPECT_THAT(defenses(), ElementsAre("d", "none"));
  made.write_cells();
  EXPECT_THAT(defenses(), ElementsAre("none", "d"));
}

TEST_F(ResultFilesTest, StagesThatTheStoreHadCount) {
  outcomes_[0].state = outcomes_[1].state = NodeState::kDone;
  ResultFiles made = files();
  made.write_cells();
  EXPECT_THAT(written(), IsEmpty());
  done(made, 2);
  EXPECT_THAT(defenses(), ElementsAre("none"));
}

TEST_F(ResultFilesTest, ACellWaitsForAStageThatIsMadeAgain) {
  ResultFiles made = files();
  made.write_cells();
  done(made, 0);
  done(made, 1);
  outcomes_[0].state = NodeState::kWaiting;
  done(made, 2);
  EXPECT_THAT(written(), IsEmpty());
  done(made, 0);
  EXPECT_THAT(defenses(), ElementsAre("none"));
}

TEST_F(ResultFilesTest, ACellFailsWithItsFirstFailedStage) {
  ResultFiles made = files();
  made.write_cells();
  outcomes_[1].state = NodeState::kFailed;
  outcomes_[1].status = "timeout";
  outcomes_[1].message = "too slow";
  made.append(1);
  outcomes_[2] = outcomes_[1];
  made.append(2);
  ASSERT_THAT(written(), SizeIs(1));
  EXPECT_EQ(written()[0].status, "timeout");
  EXPECT_EQ(written()[0].message, "too slow");
  EXPECT_EQ(made.failed(), 1);
  done(made, 0);
  made.write_cells();  // says in the end which stages it has
  ASSERT_THAT(written(), SizeIs(1));
  EXPECT_EQ(written()[0].stages.at("align"), key_of(0));
}

TEST_F(ResultFilesTest, ARowOfStagesThatGaveOtherBitsIsMadeAnew) {
  ResultFiles made = files();
  made.write_cells();
  for (const std::size_t node : {0, 1, 2}) done(made, node);
  outcomes_[2].key = key_of(9);
  store_verdicts(2, R"({"x.one":1})", R"({"x.one":1})");
  done(made, 2);
  made.write_cells();
  ASSERT_THAT(written(), SizeIs(1));
  EXPECT_EQ(written()[0].stages.at("judge.keyword"), key_of(9));
  EXPECT_DOUBLE_EQ(written()[0].metrics.at("x.one").value, 1);
}

TEST_F(ResultFilesTest, AnArtifactThatLeftTheStoreIsAFailedRow) {
  for (const std::size_t node : {0, 1, 2}) outcomes_[node].state = NodeState::kDone;
  store_.discard(StageKind::kGenerate, key_of(1));
  ResultFiles made = files();
  made.write_cells();
  ASSERT_THAT(written(), SizeIs(1));
  EXPECT_EQ(written()[0].status, "failed");
  EXPECT_THAT(written()[0].message, HasSubstr("left the store during the run"));
  EXPECT_THAT(written()[0].metrics, IsEmpty());
}

TEST_F(ResultFilesTest, TheNextRunRemembersItsSamples) {
  for (auto& outcome : outcomes_) outcome.state = NodeState::kDone;
  ResultFiles first = files();
  first.write_cells();
  first.write_run({{"cells", 2}}, {});
  const fs::path file = samples_file(folder_ / "out", key_of(1));
  write_file(file, "kept\n");
  files().write_cells();
  EXPECT_EQ(read_file(file), "kept\n");
  write_file(folder_ / "out" / "run.json", "{");
  files().write_cells();
  EXPECT_NE(read_file(file), "kept\n");
}

}  // namespace
}  // namespace holdfast
