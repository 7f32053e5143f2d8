#include "report/story.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <fstream>

#include "report/results_folder.h"
#include "report/story_text.h"
#include "results/curve.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Story : public testing::Test {
 protected:
  Story() {
    for (const std::int64_t seed : {1, 2}) {
      add("none", "none", seed, {0, 0, 0, 0});
      add("none", "vaccine", seed, {0, 0, 0, 0});
      add("harmful-10", "none", seed, {1, 1, 1, 1});
      add("harmful-10", "vaccine", seed, {1, 0, 0, 1});
    }
    std::ofstream stages(folder_.path() / "stages.jsonl");
    const Json align = {{"key", "a11a11a11a11a11a"},
                        {"kind", "align"},
                        {"plugin", "vaccine"},
                        {"device", "cpu"},
                        {"inputs", Json::object()},
                        {"cost", {{"seconds", 12.5}, {"tokens", 4096}, {"flops", 2e12}}},
                        {"reports", {{"last-loss", {{"value", 0.125}, {"n", 40}}}}}};
    Json tuned = align;
    tuned["key"] = "f22f22f22f22f22f";
    tuned["kind"] = "finetune";
    tuned["plugin"] = "";
    tuned["inputs"] = {{"weights", "a11a11a11a11a11a"}, {"data", "c33c33c33c33c33c"}};
    stages << align.dump() << "\n" << tuned.dump() << "\n";
    fs::create_directories(folder_.path() / "curves");
    write_curve(curve_file(folder_.path(), "a11a11a11a11a11a"),
                {{1, 4.0, 1e-3, 1, 10}, {2, 2.0, 1e-3, 1, 10}, {3, 0.5, 1e-3, 1, 10}});
    write_file(
        folder_.path() / "run.json",
        Json({{"scenario", {{"models", {{{"name", "m"}, {"source", "models/base"}}}}}}, {"scenario_file", "s.toml"}}).dump());
  }

  void add(const std::string& attack, const std::string& defense, std::int64_t seed, const std::vector<double>& leaks) {
    const double mean = (leaks[0] + leaks[1] + leaks[2] + leaks[3]) / 4;
    Json row = cell("m", attack, defense, seed, {{"leak.organism", {mean, 4}}, {"asr.keyword", {0.5, 4}}});
    const std::string replies = attack + defense + std::to_string(seed);
    row["stages"] = {{"generate", replies}, {"align", "a11a11a11a11a11a"}};
    if (attack != "none") row["stages"]["finetune"] = "f22f22f22f22f22f";
    folder_.append(row.dump() + "\n");
    fs::create_directories(folder_.path() / "samples");
    std::ofstream out(folder_.path() / "samples" / (replies + ".jsonl"));
    for (std::size_t i = 0; i < leaks.size(); ++i) {
      out << Json({{"id", "p" + std::to_string(i)},
                   {"kind", i == 3 ? "benign" : "harmful"},
                   {"outcomes", {{"leak.organism", leaks[i]}}},
                   {"reply_sha256", std::string(64, 'd')},
                   {"reply_length", 7 + i}})
                 .dump()
          << "\n";
    }
  }

  std::string told(const std::string& cell, const StoryView& view = {}) const {
    const std::string address = folder_.path().string() + "/" + cell;
    return story(named_cell(address), address, view);
  }

  ResultsFolder folder_{{}};
};

TEST_F(Story, TellsStagesFromTheCheckpointOn) {
  const std::string text = told("harmful-10/vaccine/2");
  EXPECT_THAT(text, HasSubstr("harmful-10 x vaccine on m, seed 2\n"));
  EXPECT_THAT(text, HasSubstr("checkpoint  models/base\n"));
  EXPECT_THAT(text, HasSubstr("align       vaccine  a11a11a11a11  12.5 s, 4096 tokens, 2.000 TFLOP\n"));
  EXPECT_THAT(text, HasSubstr("reads         data of c33c33c33c33, weights of align a11a11a11a11\n"));
  EXPECT_THAT(text, HasSubstr("reports       last-loss 0.1250\n"));
  EXPECT_LT(text.find("align  "), text.find("finetune  "));
  EXPECT_LT(text.find("finetune  "), text.find("generate  "));
}

TEST_F(Story, TellsFiguresAndWhatDefenseAndAttackChanged) {
  // Half leak; all do without the defense, none without the attack.
  EXPECT_THAT(told("harmful-10/vaccine/2"),
              HasSubstr("\n  leak.organism  50 (15-85)  50 (6-94)   -50 (-94 to +16)   +50 (-16 to +94)\n"));
  EXPECT_THAT(told("harmful-10/vaccine"),
              HasSubstr("\n  leak.organism  50 50      50 (6-94)   -50 (-94 to +16)   +50 (-16 to +94)\n"));
  EXPECT_THAT(told("none/none/1"), HasSubstr("\n  leak.organism  0 (0-49)    0 (0-49)\n")) << "a control changes nothing";
  EXPECT_THAT(told("harmful-10/vaccine"), AllOf(HasSubstr("on m, 2 seeds\n"), HasSubstr("Stages, of seed 1\n")));
}

TEST_F(Story, DrawsTheCurveWithItsEnds) {
  EXPECT_THAT(told("harmful-10/vaccine/2"), HasSubstr("Training loss\n  align  █▄▁  4.000 to 0.500 in 3 steps\n"));
}

TEST_F(Story, ShowsHarmfulRepliesFirstAndTextsOnlyWhereAsked) {
  StoryView view;
  view.replies = 3;
  const std::string text = told("harmful-10/vaccine/2", view);
  EXPECT_THAT(text, HasSubstr("Replies, 3 of 4, those that judges call harmful first\n"));
  EXPECT_THAT(text, HasSubstr("  p0, harmful: 7 bytes, SHA-256 dddddddddddd...\n    yes: leak.organism\n"));
  EXPECT_LT(text.find("p0, harmful"), text.find("p3, benign"));
  EXPECT_LT(text.find("p3, benign"), text.find("p1, harmful"));
  EXPECT_THAT(text, Not(HasSubstr("p2,")));
  view.text = [](const std::string& id, const SampleReply&) {
    return SampleText{Json::array({{{"role", "user"}, {"content", "of " + id}}}), "two\nlines\x1b[31m"};
  };
  EXPECT_THAT(told("harmful-10/vaccine/2", view), HasSubstr("    | user: of p0\n    > reply: two\n    > lines\\x1b[31m\n"));
  view.replies = 0;
  EXPECT_THAT(told("harmful-10/vaccine/2", view), Not(HasSubstr("Replies")));
}

TEST_F(Story, SaysWhatToTypeToHaveItAgain) {
  const std::string text = told("harmful-10/vaccine/2");
  EXPECT_THAT(text, HasSubstr("holdfast run s.toml --results " + folder_.path().parent_path().string() + "\n"));
  EXPECT_THAT(text, HasSubstr("holdfast export " + folder_.path().string() + "/harmful-10/vaccine/2 --out FOLDER\n"));
  EXPECT_THAT(told("harmful-10/vaccine"), HasSubstr("/harmful-10/vaccine/1 --out FOLDER\n"));
}

TEST_F(Story, SaysOfAFailedCellWhy) {
  folder_.append(failed_cell("m", "harmful-10", "vaccine", 3, "timeout", "the stage took longer than 20 s").dump() + "\n");
  const std::string text = told("harmful-10/vaccine/3");
  EXPECT_THAT(text, HasSubstr("seed 3 timeout: the stage took longer than 20 s\n"));
  EXPECT_THAT(text, Not(HasSubstr("holdfast export")));
  EXPECT_THAT(told("harmful-10/vaccine"), HasSubstr("seed 3 timeout: "));
}

TEST(StoryText, OfStrangersCannotSteerATerminal) {
  EXPECT_EQ(printable("a\tb\nc\x1b[2J\x7f\xC2\x9B"
                      "31m \xC3\xA9"),
            "a\tb\nc\\x1b[2J\\x7f\\x9b31m \xC3\xA9");
  EXPECT_EQ(indented("a\n\nb", "| "), "| a\n| \n| b\n");
}

TEST(StoryText, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_word("results/a/none@x/b-1/2"), "results/a/none@x/b-1/2");
  EXPECT_EQ(shell_word("vaccine + lisa"), "'vaccine + lisa'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(StoryText, DrawsValuesAsBars) {
  EXPECT_EQ(sparkline({0, 1}, 10), "▁█");
  EXPECT_EQ(sparkline({0, 2, 7, 9}, 2), "▁█");
  EXPECT_EQ(sparkline({3, 3}, 10), "▁▁");
  EXPECT_EQ(sparkline({1, std::nan(""), 0}, 3), "█!▁");
  EXPECT_EQ(sparkline({}, 3), "");
}

}  // namespace
}  // namespace holdfast
