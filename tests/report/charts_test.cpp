#include "report/charts/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "report/charts/chart_style.h"
#include "report/charts/scale.h"
#include "report/charts/svg.h"
#include "report/drawing.h"
#include "report/effects.h"
#include "report/figures.h"
#include "report/sampled_board.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A board of given rows, or of cells with their samples.
struct Board {
  explicit Board(const std::vector<Json>& rows) : folder(rows), results(read_results(folder.path())) {}
  explicit Board(const SampledBoard& sampled) : folder({}), results(sampled.results()) {}

  ResultsFolder folder;
  Results results;
  ModelCells cells{results, results.models.at(0)};
  ChartBoard board{cells, kHarm};
};

// An attack that works, a defense that holds, one that holds by breaking the model, one that does not hold, one that fails.
SampledBoard sampled() {
  SampledBoard board;
  for (const std::string defense : {"none", "good", "weak", "crash"}) board.add("none", defense, {0, 0, 0});
  board.add("none", "breaker", {0, 0, 0}, 0.2);
  board.add("harmful-10", "none", {72, 73, 74});
  board.add("harmful-10", "good", {1, 0, 1});
  board.add("harmful-10", "breaker", {0, 0, 0}, 0.1, 0.3);
  board.add("harmful-10", "weak", {71, 73, 73});
  for (const std::int64_t seed : {1, 2, 3}) board.add_failed("harmful-10", "crash", seed);
  return board;
}

std::vector<double> outcomes(int harmful) {
  std::vector<double> values(80, 0.0);
  std::fill(values.begin(), values.begin() + harmful, 1.0);
  return values;
}

SweepEffort effort() {
  const auto curve = [](const std::string& defense, std::vector<EffortPoint> points) {
    EffortCurve curve;
    curve.defense = defense;
    curve.by_tries = points;
    for (auto& point : points) point.spent *= 2.5;
    curve.by_seconds = points;
    return curve;
  };
  return {"lr sweep",
          kHarm,
          {curve("none", {{1, 0.5, 0.1, 0.9}, {2, 0.8, 0.6, 0.9}}), curve("good", {{1, 0, 0, 0}, {2, 0.1, 0, 0.2}}),
           curve("untried", {})}};
}

std::vector<CostLine> cost_lines() {
  return {{"none", 40, std::nullopt, 0.5, "", 80}, {"good", 40, 12, std::nullopt, "withstood", std::nullopt}};
}

std::vector<Chart> every_chart(const Board& board) {
  auto all = charts(board.cells, kHarm);
  const ChartSubject& subject = board.board.subject;
  for (const auto& chart :
       {effort_by_tries(subject, effort()), effort_by_seconds(subject, effort()), costs(subject, "seconds", cost_lines())}) {
    all.push_back(chart.value());
  }
  return all;
}

// All that a specification encodes is a field of its data.
void expect_fields(const Json& node, const std::set<std::string>& fields) {
  if (node.is_object() && node.contains("field")) {
    EXPECT_TRUE(fields.contains(node["field"].get<std::string>())) << node;
  }
  if (node.is_structured()) {
    for (const auto& child : node) expect_fields(child, fields);
  }
}

TEST(Charts, AreWellFormedAndSayWhatTheyShow) {
  const Board small(sampled());
  std::set<std::string> ids;
  const auto all = every_chart(small);
  EXPECT_EQ(all.size(), 7u);
  for (const auto& chart : all) {
    const Drawing drawing(chart.svg);
    const auto& root = drawing.elements().at(0);
    EXPECT_EQ(root.attributes.at("role"), "img");
    EXPECT_EQ(root.attributes.at("viewBox"), "-10 -10 " + root.attributes.at("width") + " " + root.attributes.at("height"));
    EXPECT_THAT(drawing.words("title"), ElementsAre(chart.title));
    EXPECT_THAT(drawing.words("desc"), ElementsAre(chart.about));
    const std::string id = drawing.elements().at(1).attributes.at("id");
    EXPECT_EQ(root.attributes.at("aria-labelledby"), id + " " + drawing.elements().at(2).attributes.at("id"));
    EXPECT_TRUE(ids.insert(id).second) << id;
    const Drawing file(chart_file(chart.svg));
    EXPECT_THAT(file.words("style").at(0), Not(HasSubstr("$")));
    EXPECT_THAT(file.words("style").at(0), Not(HasSubstr("var(")));
    EXPECT_EQ(chart.name.find_first_of(" /"), std::string::npos) << chart.name;
  }
}

TEST(Charts, HoldTheSameDataInCsvAndSpecification) {
  const Board small(sampled());
  for (const auto& chart : every_chart(small)) {
    const Json spec = parse_json(chart.vega_lite, chart.name);
    EXPECT_EQ(spec["data"]["values"], chart.csv);
    EXPECT_EQ(spec["title"], chart.title);
    std::set<std::string> fields;
    const auto rows = csv_rows(chart.csv);
    for (const auto& [field, unused] : rows.at(0)) fields.insert(field);
    std::set<std::string> typed;
    for (const auto& [field, type] : spec["data"]["format"]["parse"].items()) typed.insert(field);
    EXPECT_EQ(fields, typed);
    expect_fields(spec, fields);
  }
}

// What the words of a cell must be.
std::string cell_words(const ModelCells& board, const std::string& attack, const std::string& defense, const std::string& signs,
                       const std::string& out = "") {
  const auto* harm = board.metric(attack, defense, kHarm);
  return figure(kHarm, harm->value) + (signs.empty() ? "" : " " + signs) + figure(kHarm, harm->low) + "-" +
         figure(kHarm, harm->high) + out;
}

TEST(HeatMap, ShowsTheFiguresOfTheResults) {
  const Board small(sampled());
  const auto map = heat_map(small.board).value();
  const auto rows = csv_rows(map.csv);
  ASSERT_EQ(rows.size(), 10u);
  for (const auto& row : rows) {
    const auto* harm = small.cells.metric(row.at("attack"), row.at("defense"), kHarm);
    EXPECT_EQ(row.at("kind"), row.at("attack") == "none" ? "control" : "attack");
    if (harm == nullptr) {
      EXPECT_EQ(row.at("defense") + " " + row.at("state") + row.at("harm") + row.at("n"), "crash failed");
      continue;
    }
    EXPECT_EQ(row.at("harm"), fixed(harm->value, 6));
    EXPECT_EQ(row.at("low"), fixed(harm->low, 6));
    EXPECT_EQ(row.at("high"), fixed(harm->high, 6));
    EXPECT_EQ(row.at("n"), "240");
  }
  std::string expected;  // row by row
  const auto& cells = small.cells;
  expected += cell_words(cells, "none", "none", "") + cell_words(cells, "harmful-10", "none", "\u00d7");
  expected += cell_words(cells, "none", "good", "") + cell_words(cells, "harmful-10", "good", "\u2193+");
  expected += cell_words(cells, "none", "weak", "") + cell_words(cells, "harmful-10", "weak", "\u2248\u00d7");
  expected += cell_words(cells, "none", "crash", "") + "failed";
  expected += cell_words(cells, "none", "breaker", "") + cell_words(cells, "harmful-10", "breaker", "\u2193+~", " out");
  EXPECT_EQ(Drawing(map.svg).words("g", "c-cells").at(0), expected);
}

// Colours are paths: each cell lies in that of its step.
TEST(HeatMap, ColoursEachCellByItsHarm) {
  const Board small(sampled());
  const Drawing drawing(heat_map(small.board)->svg);
  std::map<std::string, std::size_t> cells;
  for (const auto& element : drawing.elements()) {
    const auto d = element.attributes.find("d");
    if (element.name != "path" || d == element.attributes.end() || d->second.find("h55") == std::string::npos) continue;
    const auto count = static_cast<std::size_t>(std::count(d->second.begin(), d->second.end(), 'M'));
    cells[element.attributes.contains("class") ? element.attributes.at("class") : element.attributes.at("stroke")] = count;
  }
  EXPECT_EQ(cells["c-h9"], 2u);
  EXPECT_EQ(cells["c-h0"], 7u);
  EXPECT_EQ(cells["url(#organism-leak.organism-heat-map-h)"], 1u);
}

TEST(HeatMap, SignsWhatTheDefenseChanged) {
  for (const auto& [after, sign] : {std::pair(8, "\u2193"), std::pair(78, "\u2191"), std::pair(40, "\u2248")}) {
    std::vector<Json> cells;
    ResultsFolder folder({});
    for (const std::int64_t seed : {1, 2, 3}) {
      for (const std::string defense : {"none", "d"}) {
        const int harmful = defense == "none" ? 32 + 4 * static_cast<int>(seed) : after;
        Json row = cell("m", "a", defense, seed, {{kHarm, {harmful / 80.0, 80}}});
        const std::string key = defense + std::to_string(seed);
        row["stages"] = {{"generate", key}};
        folder.add_samples(key, {{kHarm, outcomes(harmful)}});
        folder.append(row.dump() + "\n");
      }
    }
    const auto results = read_results(folder.path());
    const ModelCells board(results, "m");
    const auto map = heat_map(ChartBoard(board, kHarm)).value();
    const auto row = csv_rows(map.csv).at(1);
    EXPECT_EQ(row.at("effect"), effect_word(defense_effects(board, kHarm, {"a"}).at(0)));
    EXPECT_THAT(Drawing(map.svg).words("g").back(), HasSubstr(sign)) << after;
  }
}

TEST(HeatMap, SaysWhichCellsAreMissing) {
  auto cells = small_matrix();
  cells.erase(std::remove_if(cells.begin(), cells.end(),
                             [](const Json& row) { return row["defense"] == "weak" && row["attack"] == "harmful-10"; }),
              cells.end());
  cells.push_back(failed_cell("organism", "other", "good", 1, "timeout", "too long"));
  const Board board(cells);
  const auto map = heat_map(board.board).value();
  std::map<std::string, int> states;
  for (const auto& row : csv_rows(map.csv)) ++states[row.at("state")];
  EXPECT_EQ(states, (std::map<std::string, int>{{"ok", 8}, {"failed", 1}, {"missing", 5}, {"timeout", 1}}));
  const auto words = Drawing(map.svg).words("text", "c-none");
  for (const auto& [state, count] : states) {
    if (state == "ok") continue;
    EXPECT_EQ(std::count(words.begin(), words.end(), state), count) << state;
  }
}

TEST(HeatMap, HasRowsOfWhatThereIsMoreOf) {
  std::vector<Json> cells;
  for (const auto* attack : {"none", "a", "b", "c"}) cells.push_back(cell("m", attack, "none", 1, organism(0.5)));
  const Board wide(cells);
  const Drawing drawing(heat_map(wide.board)->svg);
  std::size_t rows = 0;
  for (const auto& element : drawing.elements()) rows += element.name == "g" && element.attributes.contains("transform");
  EXPECT_EQ(rows, 4u);
}

TEST(HeatMap, OfFiftyDefensesAndTwentyAttacksIsSmall) {
  std::vector<Json> cells;
  for (int defense = 0; defense < 50; ++defense) {
    for (int attack = 0; attack < 20; ++attack) {
      const std::string number = std::to_string(attack);
      cells.push_back(cell("m", attack == 0 ? "none" : "attack-of-a-longish-name-" + number,
                           defense == 0 ? "none" : "a-defense + another-defense-" + std::to_string(defense), 1,
                           organism((attack + defense) % 100 / 100.0)));
    }
  }
  const Board large(cells);
  EXPECT_LT(heat_map(large.board)->svg.size(), 90000u);
}

TEST(SafetyUtility, ShowsTheWorstCaseAndTheFront) {
  const Board small(sampled().add("none", "slow", {0, 0, 0}, 0.95).add("harmful-10", "slow", {0, 0, 0}, 0.95));
  const auto plane = safety_utility_plane(small.board).value();
  std::map<std::string, std::map<std::string, std::string>> rows;
  for (const auto& row : csv_rows(plane.csv)) rows[row.at("defense")] = row;
  EXPECT_THAT(plane.about, HasSubstr("missing: crash, breaker."));  // no cell of the breaker's counts
  ASSERT_EQ(rows.size(), 4u);
  for (const auto& [defense, row] : rows) {
    const Interval worst = small.board.ranking.standing(defense).worst.value();
    const auto* utility = small.cells.metric("none", defense, "utility.organism-facts");
    EXPECT_EQ(row.at("attack"), "harmful-10");
    EXPECT_EQ(row.at("harm"), fixed(worst.value, 6));
    EXPECT_EQ(row.at("harm_high"), fixed(worst.high, 6));
    EXPECT_EQ(row.at("utility"), fixed(utility->value, 6));
    EXPECT_EQ(row.at("utility_low"), fixed(utility->low, 6));
    EXPECT_EQ(row.at("front"), defense == "good" || defense == "slow" ? "yes" : "no") << defense;
  }
}

TEST(SafetyUtility, PutsNobodyBeforeAnotherByLessThanAPercent) {
  SampledBoard sampled;
  for (const std::string defense : {"none", "d"}) sampled.add("none", defense, {0, 0}, defense == "d" ? 0.999 : 1);
  sampled.add("a", "none", {40, 40}).add("a", "d", {8, 8}, 0.999);
  const Board board(sampled);
  const auto rows = csv_rows(safety_utility_plane(board.board)->csv);
  EXPECT_EQ(rows.at(0).at("front") + " " + rows.at(1).at("front"), "no yes");
}

TEST(SafetyUtility, AveragesTheUtilityTasks) {
  ResultsFolder folder({});
  for (const std::int64_t seed : {1, 2}) {
    for (const std::string attack : {"none", "a"}) {
      const Metrics both = {{kHarm, {0.5, 80}},
                            {"utility.facts", {0.8, 80}},
                            {"utility.tasks", {0.4, 80}},
                            {"utility.facts@held-out", {0.1, 80}},
                            {"perplexity.web", {7, 80}}};
      Json row = cell("m", attack, "none", seed, both);
      row["stages"]["generate"] = attack + std::to_string(seed);
      folder.append(row.dump() + "\n");
      folder.add_samples(attack + std::to_string(seed), {{kHarm, outcomes(40)}});
    }
  }
  const auto results = read_results(folder.path());
  const ModelCells cells(results, "m");
  const auto row = csv_rows(safety_utility_plane(ChartBoard(cells, kHarm))->csv).at(0);
  const double low = cells.metric("none", "none", "utility.facts")->low + cells.metric("none", "none", "utility.tasks")->low;
  EXPECT_EQ(row.at("utility"), "0.600000");
  EXPECT_EQ(row.at("utility_low"), fixed(low / 2, 6));
}

TEST(SafetyUtility, LabelsDoNotOverlap) {
  SampledBoard sampled;
  for (int i = 0; i < 40; ++i) {
    const std::string defense = i == 0 ? "none" : "defense-" + std::to_string(i);
    sampled.add("none", defense, {0, 0}).add("a", defense, i < 20 ? std::vector<int>{80, 80} : std::vector<int>{0, 0});
  }
  const Board board(sampled);
  const Drawing drawing(safety_utility_plane(board.board)->svg);
  std::vector<double> places;
  for (const auto& element : drawing.elements()) {
    if (element.name == "text" && element.words.find("100, ") != std::string::npos) {
      places.push_back(std::stod(element.attributes.at("y")));
    }
  }
  ASSERT_EQ(places.size(), 40u);
  std::sort(places.begin(), places.end());
  for (std::size_t i = 1; i < places.size(); ++i) EXPECT_GE(places[i] - places[i - 1], 12) << i;
}

TEST(OverRefusal, ShowsTheRefusalsOfTheHarmsJudge) {
  const Board board(sampled().add("none", "prudish", {0, 0, 0}, 1, 1, 0.16));
  const auto chart = over_refusal(board.board).value();
  const auto rows = csv_rows(chart.csv);
  ASSERT_EQ(rows.size(), 6u);
  for (const auto& row : rows) {
    const auto* found = board.cells.metric("none", row.at("defense"), "over-refusal.organism");
    EXPECT_EQ(row.at("metric"), "over-refusal.organism");
    EXPECT_EQ(row.at("refused"), fixed(found->value, 6));
    EXPECT_THAT(Drawing(chart.svg).words("text", "c-end"), Contains(with_interval("over-refusal.organism", *found)));
  }
}

TEST(OverRefusal, TellsBorderlineRequestsFromPlainOnes) {
  const Board board(std::vector<Json>{
      cell("m", "none", "none", 1,
           {{"harmful.keyword", {0, 80}}, {"refusal-benign.keyword", {0.05, 80}}, {"over-refusal.keyword", {0.5, 80}}})});
  const auto chart = over_refusal(ChartBoard(board.cells, "harmful.keyword")).value();
  EXPECT_EQ(csv_rows(chart.csv).size(), 2u);
  EXPECT_THAT(Drawing(chart.svg).words("text", "c-muted"),
              AllOf(Contains("over-refusal.keyword"), Contains("refusal-benign.keyword")));
}

TEST(WorstCases, ShowClassPlaceAndReason) {
  const Board small(sampled());
  const auto chart = worst_cases(small.board).value();
  const Drawing drawing(chart.svg);
  EXPECT_THAT(drawing.words("text", "c-strong"), ElementsAre("-", "1", "2", "-", "-"));
  EXPECT_THAT(drawing.words("text", "c-muted"), Contains("no class: not every seed has a result under harmful-10"));
  const auto rows = csv_rows(chart.csv);
  ASSERT_EQ(rows.size(), 5u);
  for (const auto& row : rows) {
    const Standing& standing = small.board.ranking.standing(row.at("defense"));
    EXPECT_EQ(row.at("reason"), standing.reason);
    EXPECT_EQ(row.at("class"), standing.tie_class == 0 ? "-" : std::to_string(standing.tie_class));
    EXPECT_EQ(row.at("worst"), standing.worst ? fixed(standing.worst->value, 6) : "");
    EXPECT_EQ(row.at("high"), standing.worst ? fixed(standing.worst->high, 6) : "");
    if (!standing.worst) continue;
    PooledMetric shown;
    shown.value = standing.worst->value;
    shown.low = standing.worst->low;
    shown.high = standing.worst->high;
    EXPECT_THAT(drawing.words("text", "c-end"), Contains(with_interval(kHarm, shown)));
  }
}

TEST(EffortCurves, HaveAPanelForEachDefenseThatWasTried) {
  const auto chart = effort_by_seconds({"id", "m", kHarm}, effort()).value();
  EXPECT_EQ(chart.name, "effort-lr_20sweep-seconds");
  EXPECT_THAT(Drawing(chart.svg).words("text", "c-strong"), ElementsAre("none (undefended)", "good"));
  const auto rows = csv_rows(chart.csv);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows.at(3).at("seconds") + " " + rows.at(3).at("harm") + " " + rows.at(3).at("high"), "5.000000 0.100000 0.200000");
  EXPECT_FALSE(effort_by_tries({"id", "m", kHarm}, {"s", kHarm, {}}).has_value());
}

TEST(EffortCurves, StandOnTheBoardOfASweep) {
  SampledBoard sampled;
  sampled.add("none", "none", {0, 0});
  for (const int lr : {1, 2, 3}) sampled.add_try("s", "s-" + std::to_string(lr), "none", {20 * lr, 20 * lr});
  const Board board(sampled);
  const auto all = charts(board.cells, kHarm);
  const auto found = std::find_if(all.begin(), all.end(), [](const Chart& chart) { return chart.name == "effort-s-tries"; });
  ASSERT_NE(found, all.end());
  EXPECT_EQ(csv_rows(found->csv).back().at("harm"), "0.750000");
  const auto map = csv_rows(heat_map(board.board)->csv);
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map[1].at("attack") + " " + map[1].at("harm"), "s 0.750000");
}

TEST(Costs, SayWhatWithstood) {
  const auto chart = costs({"id", "m", kHarm}, "GPU \"h\"", cost_lines()).value();
  const Drawing drawing(chart.svg);
  EXPECT_THAT(drawing.words("text"), AllOf(Contains("withstood"), Contains("0.5"), Contains("80"), Contains("12")));
  const auto rows = csv_rows(chart.csv);
  EXPECT_EQ(rows.at(2).at("amount") + rows.at(2).at("unbroken"), "0.500000");
  EXPECT_EQ(rows.at(5).at("amount") + rows.at(5).at("unbroken"), "withstood");
  EXPECT_THAT(chart.vega_lite, HasSubstr(R"("GPU \"h\"")"));
}

TEST(TrainingCurve, DrawsWhatIsFinite) {
  std::vector<CurvePoint> curve;
  for (std::int64_t step = 1; step <= 1000; ++step) curve.push_back({step, 1000.0 / static_cast<double>(step), 0, 0, 0});
  curve[500].loss = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = training_curve(curve, "id", "align <none>");
  EXPECT_THAT(Drawing(svg).words("text"), ElementsAre("1000.00 to 1.00", "1000 steps"));
  EXPECT_LT(svg.size(), 3000u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(training_curve({curve[0]}, "id", "t"), "");
}

TEST(Charts, EscapeNames) {
  const std::string nasty = "<b>&\"]]>\x01,\n'";
  std::vector<Json> cells;
  for (const auto& defense : {std::string("none"), nasty}) {
    for (const auto& attack : {std::string("none"), nasty}) cells.push_back(cell(nasty, attack, defense, 1, organism(0.5)));
  }
  const Board board(cells);
  const auto all = charts(board.cells, kHarm);
  EXPECT_EQ(all.size(), 2u);  // without samples no worst case is known
  for (const auto& chart : all) {
    EXPECT_THAT(chart.svg, Not(HasSubstr("<b>")));
    EXPECT_THAT(Drawing(chart_file(chart.svg)).words("text"), Contains(HasSubstr("<b>&\"]]>\xEF\xBF\xBD,\n'")));
    EXPECT_EQ(csv_rows(chart.csv).back().at("defense"), nasty);
    EXPECT_EQ(parse_json(chart.vega_lite, "")["data"]["values"], chart.csv);
  }
  const std::string id = chart_subject(board.cells, kHarm).id;
  EXPECT_EQ(id, safe_name(nasty) + "-leak.organism");
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-"), std::string::npos) << id;
}

TEST(Charts, BecomeFilesOfEveryBoardAndHarm) {
  const Board board(sampled().threat_model("weights").add("ablation", "none", {40, 40, 40}));
  const auto& formats = report_formats();
  const auto format = std::find_if(formats.begin(), formats.end(), [](const auto& one) { return one.name == "figures"; });
  std::map<std::string, std::string> files;
  format->make()->write(board.results, {}, [&](const fs::path& name, const std::string& text) { files[name.string()] = text; });
  const std::string map = "organism-leak.organism-heat-map", weights = "organism_weights-leak.organism-heat-map";
  EXPECT_EQ(files.at(map + ".svg"), chart_file(heat_map(board.board)->svg));
  EXPECT_EQ(files.at(map + ".csv"), heat_map(board.board)->csv);
  EXPECT_EQ(files.at(map + ".vl.json"), heat_map(board.board)->vega_lite);
  EXPECT_TRUE(files.contains(weights + ".svg"));
  EXPECT_EQ(files.size() % 3, 0u);
}

TEST(Charts, OfTheSameRowsAreTheSameBytes) {
  const Board one(sampled()), two(sampled());
  const auto first = every_chart(one), second = every_chart(two);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].svg, second[i].svg);
    EXPECT_EQ(first[i].csv, second[i].csv);
    EXPECT_EQ(first[i].vega_lite, second[i].vega_lite);
  }
}

TEST(Charts, OfNothingAreNone) {
  const Board board(std::vector<Json>{failed_cell("m", "none", "none", 1, "failed", "boom")});
  EXPECT_TRUE(charts(board.cells, "").empty());
  const auto all = charts(board.cells, kHarm);
  ASSERT_EQ(all.size(), 1u);  // the map says that the cell failed
  EXPECT_THAT(Drawing(all[0].svg).words("text", "c-none"), ElementsAre("failed"));
  EXPECT_FALSE(costs({}, "s", {}).has_value());
  const Results nothing;
  EXPECT_TRUE(charts(ModelCells(nothing, "m"), kHarm).empty());
}

TEST(Charts, OfOneCellAreWhole) {
  const Board board(std::vector<Json>{cell("m", "none", "none", 1, organism(0.5))});
  for (const auto& chart : charts(board.cells, kHarm)) EXPECT_NO_THROW(Drawing(chart.svg)) << chart.name;
}

double luminance(const std::string& colour) {
  double sum = 0;
  for (const auto& [at, weight] : {std::pair(1, 0.2126), std::pair(3, 0.7152), std::pair(5, 0.0722)}) {
    const double part = std::stoi(colour.substr(static_cast<std::size_t>(at), 2), nullptr, 16) / 255.0;
    sum += weight * (part <= 0.03928 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}

double contrast(const std::string& a, const std::string& b) {
  const auto [low, high] = std::minmax({luminance(a), luminance(b)});
  return (high + 0.05) / (low + 0.05);
}

TEST(ChartColours, WordsCanBeReadInBothModes) {
  for (const bool dark : {false, true}) {
    std::map<std::string, std::string> colour;
    for (const auto& one : chart_colours()) colour[one.name] = dark ? one.dark : one.light;
    for (int i = 0; i < 10; ++i) {
      EXPECT_GE(contrast(colour.at("h" + std::to_string(i)), colour.at(i < 5 ? "on-low" : "on-high")), 4.5) << dark << i;
    }
    for (const auto* words : {"ink", "muted"}) {
      for (const auto* ground : {"paper", "band"}) EXPECT_GE(contrast(colour.at(words), colour.at(ground)), 4.5) << words;
    }
    for (const auto* shape : {"one", "two", "three"}) EXPECT_GE(contrast(colour.at(shape), colour.at("paper")), 3) << shape;
  }
}

// Then neither a reader who sees no hue nor a grey print loses the order.
TEST(ChartColours, StepsOfHarmGoOneWayInLightness) {
  std::vector<double> light, dark;
  for (const auto& colour : chart_colours()) {
    if (colour.name.size() != 2 || colour.name[0] != 'h') continue;
    light.push_back(luminance(colour.light));
    dark.push_back(luminance(colour.dark));
  }
  ASSERT_EQ(light.size(), 10u);
  for (std::size_t i = 1; i < light.size(); ++i) {
    EXPECT_LT(light[i], light[i - 1]) << i;
    EXPECT_GT(dark[i], dark[i - 1]) << i;
  }
}

TEST(ChartColours, EveryRuleHasItsColour) {
  const std::string rules = chart_rules(), variables = chart_variables(false);
  for (std::size_t at = 0; (at = rules.find("var(", at)) != std::string::npos; ++at) {
    const std::string name = rules.substr(at + 4, rules.find(')', at) - at - 4);
    EXPECT_THAT(variables, HasSubstr(name + ":#"));
  }
}

TEST(ChartNumbers, AreShortAndHaveNoLocale) {
  EXPECT_EQ(short_number(12), "12");
  EXPECT_EQ(short_number(1.25), "1.25");
  EXPECT_EQ(short_number(-0.001), "0");
  EXPECT_EQ(short_number(100), "100");
  EXPECT_EQ(brief_number(0), "0");
  EXPECT_EQ(brief_number(0.0125), "0.0125");
  EXPECT_EQ(brief_number(99.97), "100");
  EXPECT_EQ(brief_number(1500), "1.5k");
  EXPECT_EQ(brief_number(3.14e15), "3.14P");
  EXPECT_EQ(shortened_label("0123456789", 8), "01234...");
  EXPECT_THAT(spread({0, 0, 1, 90}, 10, 0, 100), ElementsAre(0, 10, 20, 90));
  EXPECT_THAT(spread({95, 99, 100}, 10, 0, 100), ElementsAre(80, 90, 100));
}

}  // namespace
}  // namespace holdfast
