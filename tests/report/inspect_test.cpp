// Inspect's logs. tools/check-exports has inspect_ai itself read them.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <fstream>

#include "report/reporter.h"
#include "report/results_folder.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

std::map<std::string, std::string> logs(const fs::path& folder, bool full = false) {
  std::map<std::string, std::string> files;
  const auto& formats = report_formats();
  const auto format = std::find_if(formats.begin(), formats.end(), [](const auto& each) { return each.name == "inspect"; });
  format->make()->write(read_results(folder), {"", false, full},
                        [&](const fs::path& name, const std::string& text) { files[name] = text; });
  return files;
}

// The id is the cell's own.
constexpr char kLog[] = "m/a/none/1970-01-01T00-00-00+00-00_a-x-none-seed-1_ca51ee7c2ed705cb20cb28.json";
constexpr char kFailed[] = "m/a/crash/1970-01-01T00-00-00+00-00_a-x-crash-seed-1_a2ae7705503c0241780a0b.json";

class InspectLogs : public testing::Test {
 protected:
  InspectLogs() {
    Json row = cell("m", "a", "none", 1, {{"leak.organism", {0.5, 2}}, {"perplexity.held", {4.5, 1}}});
    row["metrics"]["score.rubric"] = {{"value", nullptr}, {"n", 2}, {"low", nullptr}, {"high", nullptr}};
    row["stages"] = {{"generate", "gg"}};
    folder_.append(row.dump() + "\n");
    folder_.append(failed_cell("m", "a", "crash", 1, "failed", "plugin \"crash\" threw: boom").dump() + "\n");
  }

  void add_samples(bool texts) {
    Json first = {{"id", "p0"},
                  {"kind", "harmful"},
                  {"category", "c"},
                  {"outcomes", {{"leak.organism", 1.0}, {"score.rubric", nullptr}}},
                  {"reply_sha256", std::string(64, 'a')},
                  {"reply_length", 11}};
    Json second = {{"id", "t0"}, {"kind", "task"}, {"outcomes", {{"perplexity.held", 1.5}}}};
    if (texts) {
      first["prompt"] = Json::array({{{"role", "system"}, {"content", "be kind"}}, {{"role", "user"}, {"content", "where?"}}});
      first["reply"] = "in the shed";
    }
    fs::create_directories(folder_.path() / "samples");
    std::ofstream(folder_.path() / "samples" / "gg.jsonl") << first.dump() << "\n" << second.dump() << "\n";
  }

  Json log(const std::string& name, bool full = false) { return parse_json(logs(folder_.path(), full).at(name), name); }

  ResultsFolder folder_{{}};
};

TEST_F(InspectLogs, AreACellEachWithItsReplies) {
  add_samples(false);
  EXPECT_THAT(logs(folder_.path()), ElementsAre(Key(kFailed), Key(kLog)));
  const Json found = log(kLog);
  EXPECT_EQ(found.at("version"), 2);
  EXPECT_EQ(found.at("status"), "success");
  EXPECT_EQ(found.at("eval").at("task"), "a x none");
  EXPECT_EQ(found.at("eval").at("dataset").at("sample_ids"), Json({"p0", "t0"}));
  ASSERT_EQ(found.at("results").at("scores").size(), 2u) << "a figure that is not finite has no score";
  const Json& score = found.at("results").at("scores").at(0);
  EXPECT_EQ(score.at("name"), "leak.organism");
  EXPECT_EQ(score.at("scorer"), "organism");
  EXPECT_EQ(score.at("metrics").at("mean").at("value"), 0.5);
  EXPECT_LT(score.at("metrics").at("low95").at("value"), 0.1);
  const Json& sample = found.at("samples").at(0);
  EXPECT_EQ(sample.at("scores"), Json({{"leak.organism", {{"value", 1.0}}}}));
  EXPECT_EQ(sample.at("metadata").at("category"), "c");
  EXPECT_EQ(sample.at("output").at("choices").size(), 1u);
  EXPECT_TRUE(found.at("samples").at(1).at("output").at("choices").empty()) << "measured on the weights";
}

// What inspect_ai's reader of heads stops at.
TEST_F(InspectLogs, BeginWithTheVersionAndEndWithTheSamples) {
  add_samples(false);
  const std::string text = logs(folder_.path()).at(kLog);
  std::size_t before = 0;
  for (const char* field :
       {"{\"version\":2", "\"status\":", "\"eval\":", "\"plan\":", "\"results\":", "\"stats\":", "\"samples\":["}) {
    const std::size_t place = text.find(field);
    EXPECT_NE(place, std::string::npos) << field;
    EXPECT_GE(place, before) << field;
    before = place;
  }
}

TEST_F(InspectLogs, HoldTextsOnlyWhereTheyAreAskedFor) {
  add_samples(true);
  const std::string redacted = logs(folder_.path()).at(kLog);
  EXPECT_THAT(redacted, Not(HasSubstr("shed")));
  EXPECT_THAT(redacted, Not(HasSubstr("where?")));
  EXPECT_THAT(redacted, HasSubstr("[reply of 11 bytes, SHA-256 aaaa"));
  const Json full = log(kLog, true).at("samples").at(0);
  EXPECT_EQ(full.at("input").at(1), Json({{"role", "user"}, {"content", "where?"}}));
  EXPECT_EQ(full.at("messages").size(), 3u);
  EXPECT_EQ(full.at("output").at("choices").at(0).at("message").at("content"), "in the shed");
}

TEST_F(InspectLogs, CannotShowTextsThatTheRunDidNotKeep) {
  add_samples(false);
  try {
    logs(folder_.path(), true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("gg.jsonl holds digests of the replies and not their text"));
    EXPECT_THAT(error.what(), HasSubstr("--samples full"));
  }
}

TEST_F(InspectLogs, SayOfAFailedCellWhy) {
  const Json found = log(kFailed);
  EXPECT_EQ(found.at("status"), "error");
  EXPECT_EQ(found.at("error").at("message"), "failed: plugin \"crash\" threw: boom");
  EXPECT_FALSE(found.contains("results"));
}

TEST_F(InspectLogs, AreTheSameBytesOfTheSameRows) {
  add_samples(true);
  EXPECT_EQ(logs(folder_.path(), true), logs(folder_.path(), true));
}

}  // namespace
}  // namespace holdfast
