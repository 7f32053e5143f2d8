#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "report/reporter.h"
#include "report/small_matrix.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const ReportFormat& format(const std::string& name) {
  return *std::find_if(report_formats().begin(), report_formats().end(), [&](const auto& one) { return one.name == name; });
}

// The table is what the command line and docs/results.md are made of.
TEST(Formats, HaveNamesOfTheirOwnAndStandInTheDocs) {
  const fs::path docs = fs::path(HOLDFAST_SOURCE_DIR) / "docs/results.md";
  const std::string text = read_file(docs);
  std::set<std::string> names;
  for (const auto& format : report_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    EXPECT_EQ(format.files.empty(), format.place == ReportPlace::kTerminal) << format.name;
    const std::string place = format.place == ReportPlace::kResults    ? "the results folder"
                              : format.place == ReportPlace::kTerminal ? "the terminal"
                                                                       : "`--" + format.name + " DIR`";
    const std::string files = format.files.empty() ? "" : "`" + format.files + "`";
    EXPECT_THAT(text, HasSubstr("| " + format.name + " | " + place + " | " + files + " | " + format.about + " |\n"));
  }
}

TEST(Formats, WriteTheFilesThatTheyName) {
  const ResultsFolder folder(small_matrix());
  const Results results = read_results(folder.path());
  for (const auto& format : report_formats()) {
    if (format.place != ReportPlace::kResults) continue;
    std::string files;
    format.make()->write(results, {}, [&](const fs::path& name, const std::string& text) {
      EXPECT_FALSE(text.empty()) << name;
      files += (files.empty() ? "" : ", ") + name.string();
    });
    EXPECT_EQ(files, format.files);
  }
}

TEST(Formats, SayWhereTheyCannotWrite) {
  const ResultsFolder folder(small_matrix());
  write_file(folder.path() / "taken", "");
  EXPECT_THROW(write_report(format("csv"), read_results(folder.path()), folder.path() / "taken/below"), Error);
}

TEST(Formats, WritesLmEvalFiles) {
  ResultsFolder folder(std::vector<Json>{});
  folder.append(R"({"model":"m","attack":"none","defense":"none","seed":1,"status":"ok","metrics":)"
                R"({"utility.t":{"value":0.75,"n":4,"low":0,"high":1},"perplexity.u":{"value":2.7,"n":2,"low":0,"high":1}},)"
                R"("stages":{"generate":"k"}})"
                "\n");
  folder.add_samples("k", {{"utility.t", {1, 1, 1, 0}}, {"perplexity.u", {1, 1}}});
  write_file(folder.path() / "run.json", R"({"tasks": {"t": "multiple-choice", "u": "perplexity"}})");
  EXPECT_EQ(write_report(format("lm-eval"), read_results(folder.path()), folder.path() / "out"), 1);
  const fs::path path = folder.path() / "out/m/none/none/results_seed-1.json";
  const Json file = parse_json(read_file(path), path.string());
  EXPECT_DOUBLE_EQ(file["results"]["t"]["acc_norm,none"], 0.75);
  EXPECT_DOUBLE_EQ(file["results"]["t"]["acc_norm_stderr,none"], 0.25);
  EXPECT_NEAR(file["results"]["u"]["perplexity,none"].get<double>(), std::exp(1), 1e-12);
  EXPECT_EQ(file["higher_is_better"]["u"]["perplexity"], false);
  EXPECT_EQ(file["n-samples"]["t"]["effective"], 4);
  for (const auto* task : {"t", "u"}) {  // what lm_eval.utils.make_table asks for
    EXPECT_TRUE(file["versions"][task].is_number()) << task;
    EXPECT_EQ(file["n-shot"][task], 0) << task;
    EXPECT_EQ(file["configs"][task]["task"], task);
  }
}

TEST(Formats, ABadFigureCostsItsOwnCellAndIsSaid) {
  auto cells = small_matrix();
  for (auto& row : cells) {
    const bool first = row["seed"] == 1;
    if (first && row["attack"] == "harmful-10" && row["defense"] == "good") row = without_figure(row, "leak.organism");
    if (row["attack"] == "none" && row["defense"] == "weak") row = without_figure(row, "utility.organism-facts");
    row["reports"] = {{"screen.precision", {{"value", first ? Json() : Json(0.5)}, {"n", 3}}},
                      {"screen.bad", {{"value", nullptr}, {"n", 3}}}};
  }
  const ResultsFolder folder(cells);
  const auto table = table_of(cells);
  const auto place = column(table, "place");
  EXPECT_EQ(row(table, "none").at(2).text, "90 (86-93)");
  EXPECT_THAT(row(table, "good").at(2).text, AllOf(HasSubstr("1 (0-"), HasSubstr("[2]")));
  EXPECT_THAT(row(table, "weak").at(column(table, "utility.organism-facts")).text, HasSubstr("- ["));
  for (const auto* name : {"good", "weak"}) EXPECT_EQ(row(table, name).at(place).text, "-") << name;
  write_reports(read_results(folder.path()), folder.path());
  const std::string markdown = read_file(folder.path() / "leaderboard.md");
  EXPECT_THAT(markdown, HasSubstr("good x harmful-10: leak.organism is not finite in 1 of 3 seeds"));
  EXPECT_THAT(markdown, HasSubstr("utility.organism-facts is not finite in 3 of 3 seeds"));
  EXPECT_THAT(markdown, HasSubstr("screen.bad not finite; screen.precision 0.500 (not finite in 1 of 3 seeds)"));
  EXPECT_THAT(printed(folder.path()), HasSubstr("is not finite in 1 of 3"));
}

TEST(Formats, ShowsBesideAFigureHowManyRepliesWereCutOrNotJudged) {
  const Metrics whole = {{"harmful.rubric", {0.2, 80}}, {"cut.harmful", {0, 80}},     {"unanswered.harmful", {0, 80}},
                         {"cut.task", {0, 80}},         {"unanswered.task", {0, 80}}, {"unjudged.rubric", {0, 80}}};
  Metrics cut = whole;
  cut["cut.harmful"].first = 0.4;
  cut["unanswered.harmful"].first = 0.1;
  cut["unjudged.rubric"].first = 0.25;
  const std::vector<Json> cells = {cell("m", "none", "none", 1, whole), cell("m", "a", "none", 1, cut)};
  const auto table = table_of(cells);
  EXPECT_EQ(table.main.rows.at(0).at(1).text, "20 (13-30)");
  EXPECT_EQ(table.main.rows.at(0).at(2).text, "20 (13-30) cut 40 unjudged 25");
  ASSERT_EQ(table.cut.rows.size(), 1u);
  EXPECT_EQ(table.cut.header.at(5), "task, no attack");
  EXPECT_EQ(table.cut.rows[0].at(2).text, "40 / 10");
  EXPECT_EQ(table.cut.rows[0].at(5).text, "0 / 0");
  EXPECT_EQ(table_of({cells[0]}).cut.rows.size(), 0u);
  const ResultsFolder folder(cells);
  write_reports(read_results(folder.path()), folder.path());
  EXPECT_THAT(read_file(folder.path() / "leaderboard.md"), HasSubstr("| 40 / 10 |"));
}

TEST(Formats, WritesMarkdownAndCsv) {
  const ResultsFolder folder(small_matrix());
  write_reports(read_results(folder.path()), folder.path());
  const std::string markdown = read_file(folder.path() / "leaderboard.md");
  EXPECT_THAT(markdown, HasSubstr("## organism: leak.organism (%)"));
  EXPECT_THAT(markdown, HasSubstr("| **1 (0-3) +** |"));
  EXPECT_THAT(markdown, HasSubstr("| 90 (86-93) x |"));
  EXPECT_THAT(markdown, HasSubstr("[1] crash x harmful-10"));
  const std::string csv = read_file(folder.path() / "leaderboard.csv");
  EXPECT_THAT(csv, HasSubstr("organism,harmful-10,none,leak.organism,0.900000,"));
  EXPECT_THAT(csv, HasSubstr("organism,harmful-10,crash,,,,,,,,,0,3,0,api\n"));
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 14) << line;
}

TEST(Formats, IsAPureFunctionOfTheCells) {
  const ResultsFolder folder(small_matrix());
  write_reports(read_results(folder.path()), folder.path());
  const std::string once = read_file(folder.path() / "leaderboard.md");
  write_reports(read_results(folder.path()), folder.path());
  EXPECT_EQ(read_file(folder.path() / "leaderboard.md"), once);
}

TEST(Formats, FitsATerminal) {
  std::vector<Json> cells = small_matrix();
  for (const auto* attack : {"identity-shift-10", "none@identity-shift-10", "benign-100", "poisoned-documents-1000"}) {
    cells.push_back(cell("organism", attack, "none", 1, organism(0.5)));
  }
  const ResultsFolder folder(cells);
  const std::string plain = printed(folder.path());
  std::istringstream lines(plain);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 102u) << line;
  EXPECT_THAT(plain, HasSubstr("90 (86-93) x"));
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  EXPECT_THAT(printed_report(read_results(folder.path()), {"", true}), HasSubstr("\x1b[31m"));
}

TEST(Formats, EscapesWhatWouldBreakATable) {
  const ResultsFolder folder(std::vector<Json>{cell("m|x", "none", "a, \"b\"", 1, {{"leak.organism", {0, 5}}})});
  write_reports(read_results(folder.path()), folder.path());
  EXPECT_THAT(read_file(folder.path() / "leaderboard.md"), HasSubstr("## m\\|x:"));
  EXPECT_THAT(read_file(folder.path() / "leaderboard.csv"), HasSubstr("m|x,none,\"a, \"\"b\"\"\",leak.organism,"));
}

}  // namespace
}  // namespace holdfast
