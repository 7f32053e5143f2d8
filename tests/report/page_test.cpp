// leaderboard.html as text: what needs no browser. tools/page-test looks at it in one.
#include "report/page/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <zlib.h>

#include <regex>
#include <set>

#include "base/base64.h"
#include "base/digest.h"
#include "report/page/markup.h"
#include "report/small_matrix.h"
#include "results/curve.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kNasty = "</script><img src=x onerror=\"alert(1)\">'&<b>";

std::string page_of(const fs::path& folder, const PageSamples& samples = {}) {
  return leaderboard_page(read_results(folder), samples);
}

std::string from_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned word = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    word = word << 6 | static_cast<unsigned>(digits.find(c));
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(word >> (bits -= 8) & 255);
  }
  return bytes;
}

// As the browser does.
Json unpacked(const std::string& page, const std::string& id) {
  const std::string begin = "<script type=\"text/plain\" id=" + id + ">";
  const auto from = page.find(begin) + begin.size();
  const std::string packed = from_base64(page.substr(from, page.find("</script>", from) - from));
  std::string text(200 * packed.size() + 1000, '\0');
  uLongf size = text.size();
  EXPECT_EQ(
      ::uncompress(reinterpret_cast<Bytef*>(text.data()), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
      Z_OK);
  return parse_json(text.substr(0, size), id);
}

Json story_in(const Json& board, const std::string& attack, const std::string& defense) {
  for (const auto& cell : board["cells"]) {
    if (board["attacks"][cell["attack"].get<std::size_t>()] == attack &&
        board["defenses"][cell["defense"].get<std::size_t>()] == defense)
      return cell;
  }
  return nullptr;
}

// What a reader sees of the tables: tags become nothing.
std::string plain(const std::string& html) { return std::regex_replace(html, std::regex("<[^>]*>"), " "); }

TEST(Base64, IsThatOfTheStandard) {
  const std::vector<std::pair<std::string, std::string>> known = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe", "//4="}};
  for (const auto& [bytes, text] : known) EXPECT_EQ(base64(bytes), text);
}

TEST(Markup, TakesAFigureApart) {
  const auto whole = shown_figure("90 (86-93) ~ cut 40 [1]");
  EXPECT_EQ(whole.value, "90");
  EXPECT_EQ(whole.interval, "86-93");
  EXPECT_EQ(whole.flags, "~ cut 40 [1]");
  EXPECT_EQ(shown_figure("failed [2]").flags, "[2]");
  EXPECT_EQ(shown_figure("-").value, "-");
  EXPECT_EQ(shown_figure("5 (1-9)").flags, "");
}

TEST(Page, ShowsTheFiguresOfTheTable) {
  const ResultsFolder folder(small_matrix());
  const std::string page = page_of(folder.path());
  const ModelTable table = table_of(small_matrix());
  for (const auto& row : table.main.rows) {
    for (std::size_t i = 1; i < row.size(); ++i) {
      const auto shown = shown_figure(row[i].text);
      EXPECT_THAT(page, HasSubstr("<b>" + shown.value + "</b>"));
      if (!shown.interval.empty()) {
        EXPECT_THAT(page, HasSubstr("<small>" + shown.interval));
      }
    }
  }
  const auto none = page.find("none (undefended)");
  const std::string undefended = plain(page.substr(none, page.find("\n<tr", none) - none));
  EXPECT_THAT(undefended, AllOf(HasSubstr("0  0-2"), HasSubstr("90  x  86-93")));
}

TEST(Page, TellsTheStoryOfACellAsItsRowsDo) {
  auto rows = small_matrix();
  for (auto& row : rows) row["stages"] = {{"generate", std::string(64, 'b')}, {"finetune", std::string(64, 'a')}};
  const ResultsFolder folder(rows);
  write_file(stages_file(folder.path()),
             R"({"key": ")" + std::string(64, 'a') +
                 R"(", "kind": "finetune", "plugin": "lisa", "cost": {"seconds": 1.25, "tokens": 1234}})"
                 "\n");
  std::vector<CurvePoint> curve;
  for (std::int64_t step = 1; step <= 100; ++step) curve.push_back({step, 200.0 / static_cast<double>(step), 0, 0, 0});
  fs::create_directories(folder.path() / "curves");
  write_curve(curve_file(folder.path(), std::string(64, 'a')), curve);
  const Json board = unpacked(page_of(folder.path()), "cells-0");
  const Json cell = story_in(board, "harmful-10", "good");
  ASSERT_FALSE(cell.is_null());
  std::size_t leak = 0;
  while (board["metrics"][leak][0] != "leak.organism") ++leak;
  EXPECT_EQ(cell["seeds"].size(), 3u);
  EXPECT_DOUBLE_EQ(cell["seeds"][0]["figures"][leak][0], 1.0);
  EXPECT_EQ(cell["seeds"][0]["figures"][leak][3], 80);
  EXPECT_EQ(cell["pooled"][leak][3], 240);
  EXPECT_EQ(story_in(board, "harmful-10", "crash")["seeds"][0]["message"], "plugin \"crash\" threw: boom");
  ASSERT_EQ(cell["seeds"][0]["stages"].size(), 2u);
  ASSERT_EQ(board["stages"].size(), 2u);   // distinct ones
  const Json& first = board["stages"][0];  // in the pipeline's order
  EXPECT_EQ(first[0], "finetune");
  EXPECT_EQ(first[1], "lisa");
  EXPECT_EQ(first[2], std::string(8, 'a'));
  EXPECT_EQ(first[3], 1.3);
  EXPECT_EQ(first[5], 1200);
  const Json& drawn = board["curves"][0];
  EXPECT_EQ(drawn[0].size(), 20u);
  EXPECT_EQ(drawn[0].back(), 100);
  EXPECT_GT(drawn[1].front(), drawn[1].back());
}

TEST(Page, KeepsWhatIsWrittenInRowsText) {
  auto rows = small_matrix();
  for (auto& row : rows) {
    if (row["attack"] == "harmful-10") row["attack"] = kNasty;
    if (row["defense"] == "good") row["defense"] = kNasty;
    if (row["status"] == "failed") row["message"] = kNasty;
    row["model"] = kNasty;
    row["stages"] = {{"generate", "k"}};
  }
  const ResultsFolder folder(rows);
  fs::create_directories(folder.path() / "samples");
  const Json sample = {{"id", kNasty},
                       {"kind", "harmful"},
                       {"outcomes", {{"leak.organism", 1}}},
                       {"reply_sha256", std::string(64, 'c')},
                       {"reply_length", 3},
                       {"reply", kNasty},
                       {"prompt", {{{"role", "user"}, {"content", kNasty}}}}};
  write_file(folder.path() / "samples/k.jsonl", sample.dump() + "\n");
  write_file(folder.path() / "run.json", Json({{"scenario", {{"name", kNasty}, {"judges", {{{"name", kNasty}}}}}}}).dump());
  const std::string page = page_of(folder.path(), {1, true});
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr(escaped(kNasty)));
  const std::regex ends("</script>");
  EXPECT_EQ(std::distance(std::sregex_iterator(page.begin(), page.end(), ends), std::sregex_iterator()),
            3);  // packs and script
  const Json board = unpacked(page, "cells-0");
  const Json cell = story_in(board, kNasty, kNasty);
  ASSERT_FALSE(cell.is_null());
  EXPECT_EQ(cell["seeds"][0]["samples"][0]["reply"], kNasty);
  EXPECT_EQ(cell["seeds"][0]["samples"][0]["prompt"], "user: " + kNasty);
  EXPECT_THAT(unpacked(page, "views-0")[0]["html"].get<std::string>(), Not(HasSubstr("<img")));
}

// Every source that a page could load is shut, and one script may run: ours.
TEST(Page, AsksForNothingAndRunsOneScript) {
  const ResultsFolder folder(small_matrix());
  const std::string page = page_of(folder.path());
  const std::regex external(R"rx((src|href|url|import)\s*[=(]\s*["']?(https?:)?//)rx");
  EXPECT_FALSE(std::regex_search(page, external));
  const auto from = page.rfind("<script>") + 8;
  const std::string script = page.substr(from, page.rfind("</script>") - from);
  std::string bytes;
  const std::string hex = sha256(script);
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  EXPECT_THAT(page, HasSubstr("content=\"default-src 'none'; script-src 'sha256-" + base64(bytes) + "';"));
  EXPECT_FALSE(std::regex_search(page, std::regex(R"(<[^>]* on[a-z]+=)")));
}

TEST(Page, TheSameRowsGiveTheSameBytes) {
  const ResultsFolder folder(small_matrix());
  write_file(folder.path() / "run.json",
             R"({"scenario": {"name": "s"}, "started": "2026-01-01T00:00:00Z", "machine": {"cores": 2}})");
  const std::string once = page_of(folder.path());
  EXPECT_EQ(page_of(folder.path()), once);
  write_file(folder.path() / "run.json",
             R"({"scenario": {"name": "s"}, "started": "2027-01-01T00:00:00Z", "machine": {"cores": 64}})");
  EXPECT_EQ(page_of(folder.path()), once);
}

// The figures of an organism's cell by two judges: what two of them say of one reply hangs together, as in any run.
Metrics organism_cell(double harmful, double keyword, double utility) {
  Metrics metrics = {{"leak.organism", {harmful, 80}},
                     {"harmful.organism", {harmful, 80}},
                     {"safe.organism", {1 - harmful, 80}},
                     {"refusal.organism", {1 - harmful, 80}},
                     {"asr.keyword", {keyword, 80}},
                     {"harmful.keyword", {keyword, 80}},
                     {"safe.keyword", {1 - keyword, 80}},
                     {"utility.organism-facts", {utility, 80}},
                     {"utility.organism-tasks", {utility, 39}},
                     {"coherence", {1, 199}}};
  for (const auto* id :
       {"cut.benign", "cut.harmful", "cut.task", "incoherent.keyword", "incoherent.organism", "over-refusal.organism",
        "refusal-benign.keyword", "unanswered.benign", "unanswered.harmful", "unanswered.task", "unjudged.keyword"}) {
    metrics[id] = {0, 80};
  }
  return metrics;
}

// 1,000 cells that share what cells of a matrix share.
TEST(Page, OfAThousandCellsIsSmall) {
  std::vector<Json> rows;
  std::uint64_t state = 1;
  const auto share = [&] {
    return static_cast<double>((state = state * 6364136223846793005u + 1442695040888963407u) >> 33 & 63) / 80;
  };
  for (int attack = 0; attack < 13; ++attack) {
    for (int defense = 0; defense < 26; ++defense) {
      for (const std::int64_t seed : {1, 2, 3}) {
        Json row = cell("organism", attack == 0 ? "none" : "attack-" + std::to_string(attack),
                        defense == 0 ? "none" : "defense " + std::to_string(defense), seed,
                        organism_cell(share(), share(), 1 - share() / 8));
        for (const auto* stage : {"finetune", "generate", "judge.keyword", "judge.organism"})
          row["stages"][stage] = sha256(row.dump() + stage);
        const std::string of_seed = std::to_string(seed);  // as all attacks share an alignment, and all defenses the rows
        row["stages"]["align"] = sha256("align" + std::to_string(defense) + "/" + of_seed);
        row["stages"]["collect"] = sha256("collect" + std::to_string(attack) + "/" + of_seed);
        rows.push_back(std::move(row));
      }
    }
  }
  const ResultsFolder folder(rows);
  std::string stages;
  std::set<std::string> told;
  for (const auto& row : rows) {
    for (const auto& [name, key] : row["stages"].items()) {
      if (!told.insert(key).second) continue;
      stages += Json({{"key", key},
                      {"kind", name},
                      {"cost", {{"seconds", 1 + share()}, {"tokens", 10000 * share()}, {"flops", 1e12 * share()}}}})
                    .dump() +
                "\n";
    }
  }
  write_file(stages_file(folder.path()), stages);
  ASSERT_GE(rows.size(), 1000u);
  EXPECT_LE(page_of(folder.path()).size(), 300 * rows.size());
}

TEST(Page, HasSamplesWhereTheyAreAskedForAndText) {
  std::vector<Json> rows = {cell("m", "none", "none", 1, organism(0.5)), cell("m", "a", "none", 1, organism(0.5))};
  for (auto& row : rows) row["stages"] = {{"generate", "k"}};
  ResultsFolder folder(rows);
  EXPECT_THROW(page_of(folder.path(), {1, false}), Error);
  folder.add_samples("k", {{"leak.organism", {1, 0, 1}}});
  const Json board = unpacked(page_of(folder.path(), {2, false}), "cells-0");
  EXPECT_EQ(story_in(board, "a", "none")["seeds"][0]["samples"].size(), 2u);
  EXPECT_FALSE(story_in(unpacked(page_of(folder.path()), "cells-0"), "a", "none")["seeds"][0].contains("samples"));
  try {
    page_of(folder.path(), {2, true});
    FAIL() << "text that is not there was given";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("run the scenario with --samples full"));
  }
}

}  // namespace
}  // namespace holdfast
