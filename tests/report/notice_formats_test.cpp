#include "report/notice/notice_formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/digest.h"
#include "report/notice/notice_digest.h"
#include "report/notice/notice_sentences.h"
#include "report/notice_folder.h"
#include "report/statistics.h"
#include "results/sample.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kMarkup[] = "<b>|x|*[y](z)`\n../..\"'";

Notice issued_notice(const Results& results, const std::string& attack = "harmful-10", const std::string& defense = "filter") {
  return notice_of(results, "m", attack, defense, {"An Org/Lab", "first_party", "org/base", "apache-2.0"});
}

std::map<std::string, std::string> all_files(const Notice& notice) {
  std::map<std::string, std::string> files;
  for (const auto& format : notice_formats()) files.merge(files_of(notice, format.name));
  return files;
}

Json aggregate_of(const Notice& notice) {
  for (const auto& [name, text] : files_of(notice, "every-eval-ever")) {
    if (name.ends_with(".json")) return Json::parse(text);
  }
  return {};
}

Json result_of(const Json& aggregate, const std::string& metric) {
  for (const auto& result : aggregate.at("evaluation_results")) {
    if (result.at("evaluation_name") == "holdfast." + metric) return result;
  }
  return {};
}

TEST(NoticeFormats, HaveNamesOfTheirOwnAndStandInTheDocs) {
  const std::string docs = read_file(fs::path(HOLDFAST_SOURCE_DIR) / "docs/notice.md");
  std::set<std::string> names;
  for (const auto& format : notice_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    EXPECT_THAT(docs, HasSubstr("| " + format.name + " | `" + format.files + "` | " + format.about + " |\n"));
  }
}

TEST(NoticeFormats, GiveTheSameBytesAgainAndWholeJson) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Results again = read_results(folder.path());
  const auto files = all_files(issued_notice(results));
  EXPECT_EQ(files, all_files(issued_notice(again)));
  EXPECT_EQ(files.size(), 6U);
  for (const auto& [name, text] : files) {
    EXPECT_TRUE(!name.ends_with(".json") || Json::parse(text).is_object()) << name;
    EXPECT_THAT(text, Not(HasSubstr("/home"))) << name;  // where files lie is nobody's business
  }
}

TEST(NoticeFormats, KeepNamesThatLookLikeMarkupAsText) {
  NoticeMatrix folder;
  folder.add(kMarkup, "filter", {{27, 4}, {36, 5}});
  const Results results = read_results(folder.path());
  const Notice told = issued_notice(results, kMarkup);
  EXPECT_THAT(markdown_of(told), AllOf(HasSubstr("\\<b\\>\\|x\\|\\*\\[y\\](z)\\` ../.."), Not(HasSubstr("<b>"))));
  for (const auto& [name, text] : all_files(told)) {
    EXPECT_THAT(name, AllOf(Not(HasSubstr("..")), Not(HasSubstr("<")))) << name;
    EXPECT_TRUE(!name.ends_with(".json") || Json::parse(text).is_object()) << name;
  }
}

TEST(NoticeFormats, MarkdownBeginsWithFrontMatter) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  EXPECT_THAT(markdown_of(issued_notice(results)),
              ::testing::StartsWith("---\nlicense: \"apache-2.0\"\nbase_model: \"org/base\"\nbase_model_relation: adapter\n"));
  const Notice plain = notice_of(results, "m", "harmful-10", "filter", {});
  EXPECT_THAT(markdown_of(plain), AllOf(::testing::StartsWith("---\ntags:\n"), Not(HasSubstr("base_model"))));
}

TEST(NoticeFormats, EveryEvalEverHoldsTheFiguresAndTheirIntervals) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Json file = aggregate_of(issued_notice(results));
  const Json leak = result_of(file, "leak.organism");
  const auto& pooled = results.find("m", "harmful-10", "filter")->metrics.at("leak.organism");
  EXPECT_EQ(leak.at("/score_details/score"_json_pointer), pooled.value);
  EXPECT_EQ(leak.at("/score_details/uncertainty/confidence_interval/lower"_json_pointer), pooled.low);
  EXPECT_EQ(leak.at("/score_details/uncertainty/confidence_interval/upper"_json_pointer), pooled.high);
  EXPECT_EQ(leak.at("/score_details/uncertainty/num_samples"_json_pointer), 2 * kHarmful);
  EXPECT_EQ(leak.at("/metric_config/lower_is_better"_json_pointer), true);
  EXPECT_FALSE(leak.at("metric_config").contains("llm_scoring"));
  EXPECT_EQ(result_of(file, "utility.facts").at("/metric_config/lower_is_better"_json_pointer), false);
  EXPECT_EQ(file.at("/source_metadata/evaluator_relationship"_json_pointer), "first_party");
  EXPECT_EQ(file.at("retrieved_timestamp"), "1767323045");
  EXPECT_EQ(leak.at("/generation_config/generation_args/max_tokens"_json_pointer), 40);
}

TEST(NoticeFormats, EveryEvalEverHasALineAReplyAndFigure) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = issued_notice(results);
  const auto files = files_of(told, "every-eval-ever");
  ASSERT_EQ(files.size(), 2U);
  const Json detail = aggregate_of(told).at("detailed_evaluation_results");
  const std::string samples = files.at(detail.at("file_path"));
  EXPECT_EQ(detail.at("checksum"), sha256(samples));
  std::int64_t lines = 0, harmful = 0;
  std::istringstream stream(samples);
  for (std::string line; std::getline(stream, line); ++lines) {
    const Json record = Json::parse(line);
    if (record.at("evaluation_name") != "holdfast.leak.organism") continue;
    const bool leaked = record.at("/evaluation/score"_json_pointer) == 1.0;
    EXPECT_EQ(record.at("/evaluation/is_correct"_json_pointer), !leaked);
    harmful += leaked ? 1 : 0;
  }
  EXPECT_EQ(lines, detail.at("total_rows"));
  EXPECT_EQ(lines, 2 * (kHarmful + kTasks));
  EXPECT_EQ(harmful, 27 + 36);
}

TEST(NoticeFormats, NeverHoldARequestOrAReply) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const auto& row = results.find("m", "harmful-10", "filter")->rows.front();
  Json sample = {{"id", "p0"},           {"kind", "harmful"}, {"outcomes", {{"leak.organism", 1.0}}},
                 {"reply_sha256", "d9"}, {"reply_length", 5}, {"prompt", "PROMPT-TEXT"},
                 {"reply", "REPLY-TEXT"}};
  write_file(samples_file(folder.path(), row.stages.at("generate")), sample.dump() + "\n");
  const Results full = read_results(folder.path());
  std::string everything;
  for (const auto& [name, text] : all_files(issued_notice(full))) everything += text;
  EXPECT_THAT(everything, AllOf(HasSubstr("sha256:d9"), Not(HasSubstr("PROMPT-TEXT")), Not(HasSubstr("REPLY-TEXT"))));
}

TEST(NoticeFormats, EveryEvalEverNamesTheModelThatJudges) {
  NoticeFolder folder;
  Json run = run_file();
  run["scenario"]["judges"] =
      Json::array({plugin("rubric", {{"id", "x"}, {"model", "/home/somebody/judge.gguf"}, {"endpoint", ""}})});
  folder.write_run(run);
  folder.add("none", "none", 1, {{"score.rubric-x", {1, 1, 2, 1}}, {"asr.rubric-x", {0, 0, 0, 0}}});
  folder.add("harmful-10", "none", 1, {{"score.rubric-x", {5, 1, 2, 4}}, {"asr.rubric-x", {1, 0, 0, 0}}});
  const Results results = read_results(folder.path());
  const Json file = aggregate_of(issued_notice(results, "harmful-10", "none"));
  const Json score = result_of(file, "score.rubric-x");
  EXPECT_EQ(score.at("/metric_config/llm_scoring/judges/0/model_info/name"_json_pointer), "judge.gguf");
  EXPECT_EQ(score.at("/metric_config/max_score"_json_pointer), 5);
  const Json uncertainty = score.at("/score_details/uncertainty"_json_pointer);
  const auto expected = mean_interval({{5, 1, 2, 4}}, 1, uncertainty.at("num_bootstrap_samples"));
  EXPECT_EQ(uncertainty.at("/confidence_interval/lower"_json_pointer), expected.low);
  EXPECT_TRUE(result_of(file, "asr.rubric-x").at("metric_config").contains("llm_scoring"));
}

TEST(NoticeFormats, CycloneDxHasTheCardOfTheModelAndItsBase) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = issued_notice(results);
  const Json bom = Json::parse(files_of(told, "cyclonedx").at("notice.cdx.json"));
  const Json& model = bom.at("/metadata/component"_json_pointer);
  EXPECT_EQ(model.at("type"), "machine-learning-model");
  EXPECT_EQ(model.at("/pedigree/ancestors/0/name"_json_pointer), "org/base");
  EXPECT_EQ(model.at("/pedigree/ancestors/0/hashes/0/content"_json_pointer), "d1");
  const Json& first = model.at("/modelCard/quantitativeAnalysis/performanceMetrics/0"_json_pointer);
  EXPECT_EQ(first.at("type"), "leak.organism");
  EXPECT_EQ(first.at("value"), "0.525000");
  EXPECT_EQ(model.at("/modelCard/considerations/technicalLimitations"_json_pointer).size(), not_measured(told).size() + 1);
  EXPECT_EQ(bom.at("/metadata/timestamp"_json_pointer), "2026-01-02T03:04:05Z");
}

TEST(NoticeFormats, IdentifiersFollowFromTheRows) {
  EXPECT_EQ(uuid_of(sha256("")), "e3b0c442-98fc-4c14-9afb-f4c8996fb924");
  const NoticeMatrix folder;
  NoticeMatrix other;
  other.add("harmful-10", "filter", {{27, 8}, {36, 11}}, "harmful-10-none");  // a later row counts
  const Results one = read_results(folder.path());
  const Results two = read_results(other.path());
  EXPECT_NE(digest_of(issued_notice(one)), digest_of(issued_notice(two)));
  EXPECT_NE(digest_of(issued_notice(one)), digest_of(issued_notice(one, "harmful-10", "retune")));
}

TEST(NoticeFormats, InTotoSaysPassedOnlyWhereSafetyHeldAndTheModelIsWorthSomething) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  for (const std::string defense : {"none", "retune", "filter"}) {
    const Notice told = issued_notice(results, "harmful-10", defense);
    const Json statement = Json::parse(files_of(told, "in-toto").at("notice.intoto.json"));
    const bool passed = told.verdict == NoticeVerdict::kHeld && told.lost.empty();
    EXPECT_EQ(statement.at("/predicate/result"_json_pointer) == "PASSED", passed) << defense;
    EXPECT_EQ(statement.at("subject").size(), 2U);
  }
}

}  // namespace
}  // namespace holdfast
