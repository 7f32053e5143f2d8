#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <cmath>
#include <limits>

#include "base/scratch_folder.h"
#include "results/cell_row.h"
#include "results/curve.h"
#include "results/run_facts.h"
#include "results/sample.h"
#include "results/sample_outcomes.h"
#include "results/stage_row.h"
#include "results/verdicts.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinite = std::numeric_limits<double>::infinity();

template <typename Action>
std::string reason(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

CellRow full_row() {
  CellRow row;
  row.model = "m";
  row.attack = "none@a";
  row.defense = "d";
  row.seed = 3;
  row.message = "these figures are not finite: perplexity.t";
  row.metrics["leak.organism"] = {0.1, 80, 0.05, 0.2};
  row.seconds = 12.5;
  row.seconds_shared = 1.0 / 3;
  row.forward_tokens = 900;
  row.backward_tokens = 300;
  row.flops = 123456789012345;
  row.cpu_seconds = 20.25;
  row.peak_memory = 1 << 20;
  row.peak_device_memory = 1 << 10;
  row.defender_rows = 40;
  row.threat_model = "weights";
  row.reports = {{"screen.rows", {{"value", 40}, {"n", 50}}}, {"align.last-loss", {{"value", 2.0}, {"n", 3}}}};
  row.stages = {{"generate", "g"}, {"judge.keyword", "j"}};
  return row;
}

std::vector<CellRow> read_all(const fs::path& file) {
  std::vector<CellRow> rows;
  read_cell_rows(file, [&](CellRow row) { rows.push_back(std::move(row)); });
  return rows;
}

// The bytes are what other programs read and what runs are compared by.
TEST(CellRows, AreWrittenAsTheDocsSay) {
  EXPECT_EQ(
      canonical(to_json(full_row())),
      R"({"attack":"none@a","cost":{"backward_tokens":300,"cpu_seconds":20.25,"flops":123456789012345,)"
      R"("forward_tokens":900,"peak_device_memory":1024,"peak_memory":1048576,"seconds":12.5,"seconds_shared":0.3333333333333333},"defender_rows":40,"defense":"d",)"
      R"("message":"these figures are not finite: perplexity.t",)"
      R"("metrics":{"leak.organism":{"high":0.2,"low":0.05,"n":80,"value":0.1}},"model":"m",)"
      R"("reports":{"align.last-loss":{"n":3,"value":2.0},"screen.rows":{"n":50,"value":40}},"seed":3,)"
      R"("stages":{"generate":"g","judge.keyword":"j"},"status":"ok","threat_model":"weights"})");
}

TEST(CellRows, AreReadAsTheyWereWritten) {
  const Json written = to_json(full_row());
  const CellRow row = cell_row(written, "here");
  EXPECT_EQ(to_json(row), written);
  EXPECT_EQ(row.stages, full_row().stages);
  EXPECT_EQ(row.metrics.at("leak.organism").n, 80);
  EXPECT_TRUE(row.ok());
  EXPECT_FALSE(row.energy_joules) << "what was not told is not zero";
}

TEST(CellRows, KeepWhatJsonHasNoNumberFor) {
  CellRow row = full_row();
  row.metrics["perplexity.t"] = {std::nan(""), 7, std::nan(""), std::nan("")};
  row.metrics["perplexity.u"] = {9, 7, 1, kInfinite};
  row.metrics["score.x"] = {0, 7, -kInfinite, 1};
  const CellRow read = cell_row(parse_json(canonical(to_json(row)), "here"), "here");
  EXPECT_TRUE(std::isnan(read.metrics.at("perplexity.t").value));
  EXPECT_EQ(read.metrics.at("perplexity.t").n, 7);
  EXPECT_EQ(read.metrics.at("perplexity.u").high, kInfinite);
  EXPECT_EQ(read.metrics.at("score.x").low, -kInfinite);
}

TEST(CellRows, LeaveATornLastLineOut) {
  const ScratchFolder folder;
  const std::string line = canonical(to_json(full_row())) + "\n";
  write_file(cells_file(folder.path()), line + "\n" + line + line.substr(0, line.size() - 1));
  EXPECT_EQ(read_all(cells_file(folder.path())).size(), 2u);
}

TEST(CellRows, NameTheLineThatIsNone) {
  const ScratchFolder folder;
  const fs::path file = cells_file(folder.path());
  const std::string line = canonical(to_json(full_row())) + "\n";
  write_file(file, line + "{\"model\": \"m\"}\n");
  EXPECT_THAT(reason([&] { read_all(file); }), HasSubstr("cells.jsonl:2 is not a cell"));
  write_file(file, line + "{\"model\"\n");
  EXPECT_THAT(reason([&] { read_all(file); }), HasSubstr("cells.jsonl:2 is not valid JSON"));
  CellRow row = full_row();
  row.reports = {{"screen.rows", {{"n", 3}}}};
  write_file(file, canonical(to_json(row)) + "\n");
  EXPECT_THAT(reason([&] { read_all(file); }), HasSubstr("cells.jsonl:1 holds a metric or report without \"value\""));
}

Sample full_sample() {
  Sample made{"p", "harmful", {{"asr.keyword", 1}, {"perplexity.t", std::nan("")}}, {}};
  made.reply = SampleReply{"digest", 12, "tests", SampleText{{{{"role", "user"}, {"content", "a question"}}}, "a reply"}};
  return made;
}

TEST(Samples, AreReadAsTheyWereWritten) {
  const ScratchFolder folder;
  Sample redacted = full_sample();
  redacted.reply->text.reset();
  redacted.reply->category.reset();
  const Sample measured{"t", "task", {{"utility.t", 0.5}}, {}};
  std::string text;
  for (const auto& each : {full_sample(), redacted, measured}) text += canonical(to_json(each)) + "\n";
  const fs::path file = samples_file(folder.path(), "key");
  fs::create_directories(file.parent_path());
  write_file(file, text);
  std::string again;
  read_samples(file, [&](const Sample& each) { again += canonical(to_json(each)) + "\n"; });
  EXPECT_EQ(again, text);
  EXPECT_THAT(text,
              HasSubstr(R"({"category":"tests","id":"p","kind":"harmful","outcomes":{"asr.keyword":1.0,"perplexity.t":null},)"
                        R"("prompt":[{"content":"a question","role":"user"}],"reply":"a reply","reply_length":12,)"
                        R"("reply_sha256":"digest"})"));
}

TEST(Samples, AreNoneWithoutAFileAndNameTheLineThatIsNone) {
  const ScratchFolder folder;
  read_samples(folder.path() / "none.jsonl", [](const Sample&) { ADD_FAILURE(); });
  const fs::path file = folder.path() / "some.jsonl";
  write_file(file, R"({"id":"p","outcomes":{"x":"one"}})");
  EXPECT_THAT(reason([&] { read_samples(file, [](const Sample&) {}); }), HasSubstr("some.jsonl:1 is not a sample"));
}

TEST(Verdicts, AreReadAsTheyWereWritten) {
  const ScratchFolder folder;
  Verdict first;
  first.outcomes = {{"asr.rubric", 1}, {"score.rubric", std::nan("")}};
  Verdict second = first;
  second.raw = {{"right", true}, {"answers", std::vector<JsonText>{{"{\"text\": 1}"}}}, {"margin", std::nan("")}};
  second.prompt = "abc";
  write_file(folder / kVerdictsFile, verdicts_text("rubric", {"p", "q"}, {first, second}));
  EXPECT_THAT(read_file(folder / kVerdictsFile),
              HasSubstr(R"({"id":"p","judge":"rubric","outcomes":{"asr.rubric":1.0,"score.rubric":null},"raw":null})"));
  EXPECT_THAT(read_file(folder / kVerdictsFile), HasSubstr(R"("raw":{"answers":[{"text":1}],"margin":null,"right":true})"));
  EXPECT_THAT(read_file(folder / kVerdictsFile), HasSubstr(R"("prompt_sha256":"ba7816bf8f01cfea)"));
  std::string ids;
  read_verdicts(folder / kVerdictsFile, [&](const std::string& id, const std::map<std::string, double>& outcomes) {
    ids += id;
    EXPECT_EQ(outcomes.at("asr.rubric"), 1);
    EXPECT_TRUE(std::isnan(outcomes.at("score.rubric")));
  });
  EXPECT_EQ(ids, "pq");
  write_file(folder / kVerdictsFile, "{\"id\":3}\n");
  EXPECT_THAT(reason([&] { read_verdicts(folder / kVerdictsFile, {}); }), HasSubstr("verdicts.jsonl:1 is not a verdict"));
}

TEST(Verdicts, OfAnotherNumberAndRawJsonThatIsNoneAreRefusedByTheJudgesName) {
  EXPECT_EQ(reason([] {
              verdicts_text("mine", {"p", "q"}, {Verdict()});
            }),
            "the judge \"mine\" gave 1 verdicts on 2 replies, expected one for each, in order");
  Verdict verdict;
  verdict.raw["list"] = std::vector<JsonText>{{"{"}};
  EXPECT_THAT(reason([&] { verdicts_text("mine", {"p"}, {verdict}); }),
              HasSubstr("the judge \"mine\" gave a raw verdict that cannot be stored: "));
}

TEST(RunFacts, StandInRunJsonBesideTheRest) {
  const ScratchFolder folder;
  EXPECT_TRUE(read_run_facts(folder.path()).samples.empty());
  EXPECT_TRUE(read_run_file(folder.path()).is_null());
  RunFacts written;
  written.tasks = {{"t", "rouge-l"}};
  written.samples = {{"key", "stamp"}};
  written.definitions = {{"judge keyword", "d1"}};
  written.board = {0.05, {{"controls", Json::array()}}};
  written.prices = {{"currency", "USD"}};
  write_run_file(folder.path(), {{"cells", 4}, {"scenario", {{"name", "small"}}}}, written);
  const RunFacts facts = read_run_facts(folder.path());
  EXPECT_EQ(facts.tasks, written.tasks);
  EXPECT_EQ(facts.samples, written.samples);
  EXPECT_EQ(facts.definitions, written.definitions);
  EXPECT_EQ(facts.scenario, "small");
  EXPECT_EQ(facts.board.utility_bound, 0.05);
  EXPECT_EQ(facts.board.reference, written.board.reference);
  EXPECT_EQ(facts.prices, written.prices);
  EXPECT_EQ(read_run_file(folder.path()).at("cells"), 4);
  write_file(folder.path() / "run.json", R"({"tasks": [1]})");
  EXPECT_THAT(reason([&] { read_run_facts(folder.path()); }), HasSubstr("run.json is damaged: \"tasks\""));
}

TEST(StageRows, AreReadAsTheyWereWritten) {
  const ScratchFolder folder;
  read_stage_rows(folder.path(), [](const StageRow&) { FAIL() << "there is no file"; });
  const StageRow stage{
      "k1", "finetune", "lisa", "cpu", {{"weights", "k0"}}, {{"seconds", 2.5}}, {{"rows", {{"value", 1}, {"n", 1}}}}, {}};
  write_file(stages_file(folder.path()), canonical(to_json(stage)) + "\n");
  std::vector<StageRow> read;
  read_stage_rows(folder.path(), [&](StageRow row) { read.push_back(std::move(row)); });
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(to_json(read.front()), to_json(stage));
  EXPECT_EQ(read.front().spent("seconds"), 2.5);
  EXPECT_EQ(read.front().spent("flops"), 0);
  write_file(stages_file(folder.path()), "{\"kind\": \"align\"}\n");
  EXPECT_THAT(reason([&] { read_stage_rows(folder.path(), [](const StageRow&) {}); }),
              HasSubstr("stages.jsonl:1 is not a stage"));
}

TEST(SampleOutcomes, AreColumnsInTheOrderOfTheProbes) {
  const ScratchFolder folder;
  EXPECT_TRUE(read_sample_outcomes(folder.path() / "none.jsonl").probes.empty());
  const fs::path file = folder.path() / "some.jsonl";
  write_file(file, R"({"id": "p10", "kind": "harmful", "outcomes": {"a": 1.0, "b": 0.25}})"
                   "\n\n"
                   R"({"kind": "task", "outcomes": {"b": 1, "c": null, "a": 0}, "id": "p\u0031"})"
                   "\n");
  const SampleOutcomes outcomes = read_sample_outcomes(file);
  EXPECT_EQ(outcomes.probes, (std::vector<std::string>{"p1", "p10"}));
  EXPECT_EQ(outcomes.columns.at("a"), (std::vector<double>{0, 1}));
  EXPECT_EQ(outcomes.columns.at("b"), (std::vector<double>{1, 0.25}));
  EXPECT_TRUE(std::isnan(outcomes.columns.at("c")[0]));
  EXPECT_TRUE(std::isnan(outcomes.columns.at("c")[1]));
  for (const std::string line : {R"({"id": "p"})", R"({"id": "p", "outcomes": {"a": "x"}})", R"({"id": "p", "outcomes")"}) {
    write_file(file, R"({"id": "p", "outcomes": {}})"
                     "\n" +
                         line + "\n");
    EXPECT_THAT(reason([&] { read_sample_outcomes(file); }), HasSubstr("some.jsonl:2 is not")) << line;
  }
}

TEST(Curves, AreReadAsTheyWereWritten) {
  const ScratchFolder folder;
  const fs::path file = folder.path() / kCurveFile;
  EXPECT_TRUE(read_curve(file).empty());
  write_curve(file, {{1, 2.5, 1e-4, 0.5, 64}, {2, std::nan(""), 1e-4, 0.25, 32}});
  const auto curve = read_curve(file);
  ASSERT_EQ(curve.size(), 2U);
  EXPECT_EQ(curve[0].loss, 2.5);
  EXPECT_EQ(curve[0].gradient_norm, 0.5);
  EXPECT_TRUE(std::isnan(curve[1].loss));
  EXPECT_EQ(curve[1].tokens, 32);
  write_file(file, "{\"step\": 1}\n");
  EXPECT_THAT(reason([&] { read_curve(file); }), HasSubstr("curve.jsonl:1 is no step of a training"));
}

}  // namespace
}  // namespace holdfast
