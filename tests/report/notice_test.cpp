#include "report/notice/notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "report/effect_tables.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"
#include "report/notice/one_seed.h"
#include "report/notice_folder.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Notice notice(const Results& results, const std::string& defense, const std::string& attack = "harmful-10") {
  return notice_of(results, "m", attack, defense, {});
}

const Movement& movement(const NoticeFigure& figure, Baseline from) {
  return *std::find_if(figure.movements.begin(), figure.movements.end(), [&](const auto& one) { return one.from == from; });
}

TEST(Notice, HasTheFiguresOfTheBoard) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter");
  const auto& pooled = results.find("m", "harmful-10", "filter")->metrics.at("leak.organism");
  const auto& harm = *told.first(FigureRole::kHarm);
  EXPECT_EQ(harm.metric, "leak.organism");
  EXPECT_EQ(harm.measured->value, pooled.value);
  EXPECT_EQ(harm.measured->low, pooled.low);
  EXPECT_EQ(harm.measured->high, pooled.high);
  EXPECT_EQ(movement(harm, Baseline::kOffered).value->value, 0);
  EXPECT_DOUBLE_EQ(movement(harm, Baseline::kUndefended).value->value, 102.0 / 120);
  EXPECT_THAT(markdown_of(told), HasSubstr("53 % ("));
}

TEST(Notice, HasTheBoardsEffectOfTheProtection) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const auto effects = all_effects(ModelCells(results, "m"));
  for (const std::string defense : {"retune", "filter"}) {
    const Notice told = notice(results, defense);
    const auto& change = *movement(*told.first(FigureRole::kHarm), Baseline::kUndefended).change;
    const auto board = std::find_if(effects.begin(), effects.end(), [&](const auto& effect) {
      return effect.metric == "leak.organism" && effect.attack == "harmful-10" && effect.defense == defense;
    });
    ASSERT_NE(board, effects.end());
    EXPECT_EQ(change.change.value, board->change.value);
    EXPECT_EQ(change.change.low, board->change.low);
    EXPECT_EQ(change.adjusted, board->adjusted);
    EXPECT_EQ(change.adjusted > change.p, defense == "retune");  // Holm's method leaves the largest p as it is
    EXPECT_EQ(change.noise, board->noise);
    EXPECT_EQ(effect_word(change), effect_word(*board));
  }
}

TEST(Notice, CorrectsItsOwnChangesOverAllOfThem) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter");
  std::vector<double> p, adjusted;
  for (const auto& figure : told.figures) {
    for (const auto& one : figure.movements) {
      if (one.from == Baseline::kUndefended) continue;  // of harm the board's, of the others none
      p.push_back(one.change->p);
      adjusted.push_back(one.change->adjusted);
    }
  }
  EXPECT_EQ(p.size(), 4U);  // two baselines of two figures
  EXPECT_EQ(adjusted, holm(p));
}

TEST(Notice, ChangesArePairedAndAgainstTheModelBeforeCustomising) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter");
  const auto& change = *movement(*told.first(FigureRole::kHarm), Baseline::kOffered).change;
  const Grid before(2, std::vector<double>(kHarmful, 0.0));
  const Grid after = {ones_first(27, kHarmful), ones_first(36, kHarmful)};
  const auto expected = rate_difference(before, after);
  EXPECT_NEAR(change.change.value, expected.value, 1e-12);
  EXPECT_NEAR(change.change.high, expected.high, 1e-12);
  const ModelCells board(results, "m");
  EXPECT_EQ(change.noise, noise_floor(column_grids(board, "harmful-10", "leak.organism", board.defenses())));
}

TEST(Notice, VerdictIsTheBoardsMark) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const ModelCells board(results, "m");
  const Ranking ranking(board, "leak.organism", {});
  std::map<Mark, NoticeVerdict> words = {
      {Mark::kHolds, NoticeVerdict::kHeld}, {Mark::kBroken, NoticeVerdict::kEroded}, {Mark::kNone, NoticeVerdict::kOpen}};
  std::set<NoticeVerdict> met;
  for (const std::string defense : {"none", "retune", "filter"}) {
    const auto verdict = notice(results, defense).verdict;
    EXPECT_EQ(verdict, words.at(ranking.mark(*board.metric("harmful-10", defense, "leak.organism")))) << defense;
    met.insert(verdict);
  }
  EXPECT_GE(met.size(), 2U);
}

TEST(Notice, SaysWhereAControlIsMissing) {
  NoticeFolder folder;
  folder.add("none", "none", {{0, 10}, {0, 10}});
  folder.add("harmful-10", "filter", {{27, 4}, {36, 5}});
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter");
  EXPECT_THAT(not_measured(told),
              Contains(AllOf(HasSubstr("before customising, with the same protection"), HasSubstr("cell none/filter"))));
  EXPECT_THAT(not_measured(told), Contains(HasSubstr("cell harmful-10/none")));
  EXPECT_FALSE(movement(*told.first(FigureRole::kHarm), Baseline::kOffered).value);
  const std::string page = markdown_of(told);
  EXPECT_THAT(page, Not(HasSubstr("Against the model before customising, with the same protection")));
  EXPECT_THAT(page, HasSubstr("Against the model before customising, without protection"));
}

TEST(Notice, WithoutTheUntouchedModelItDoesNotSayByHowMuch) {
  NoticeFolder folder;
  folder.add("harmful-10", "none", {{9, 4}});
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "none");
  EXPECT_EQ(told.verdict, NoticeVerdict::kNoReference);
  EXPECT_THAT(verdict_text(told), HasSubstr("The model before customising was not measured"));
  EXPECT_THAT(advice(told), Contains(HasSubstr("Ask for the missing measurement")));
  EXPECT_THAT(markdown_of(told), Not(HasSubstr("Against the model")));
}

TEST(Notice, OfAFailedCellSaysThatNothingWasMeasured) {
  NoticeMatrix folder;
  folder.fail("harmful-10", "crash", 1, "cannot read /home/somebody/secret");
  folder.fail("harmful-10", "crash", 2, "the worker died");
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "crash");
  EXPECT_EQ(told.verdict, NoticeVerdict::kNoResult);
  EXPECT_THAT(not_measured(told), Contains(HasSubstr("2 of 2 seeds came to no result (2 failed, 0 ran out of time)")));
  EXPECT_THAT(markdown_of(told),
              AllOf(HasSubstr("**Nothing was measured.**"), Not(HasSubstr("secret")), Not(HasSubstr(" % "))));
  EXPECT_THAT(files_of(told, "every-eval-ever"), IsEmpty());
  EXPECT_THAT(files_of(told, "eval-results"), IsEmpty());
  EXPECT_THAT(files_of(told, "in-toto"), IsEmpty());
}

TEST(Notice, OfSeedsThatFailedInPartSaysHowMany) {
  NoticeMatrix folder;
  folder.add("harmful-10", "shaky", {{1, 9}});
  folder.fail("harmful-10", "shaky", 2, "boom");
  const Results results = read_results(folder.path());
  EXPECT_THAT(not_measured(notice(results, "shaky")),
              AllOf(Contains(HasSubstr("1 of 2 seeds came to no result")), Contains(HasSubstr("Other seeds"))));
}

TEST(Notice, OfOneSeedIsAsIfNoOtherHadBeenRun) {
  const NoticeMatrix folder;
  NoticeFolder alone;
  alone.add("none", "none", {{0, 20}});
  alone.add("harmful-10", "none", {{54, 18}});
  alone.add("none", "filter", {{0, 8}});
  alone.add("harmful-10", "filter", {{27, 8}}, "harmful-10-none");
  const Results results = read_results(folder.path());
  const Results one = of_one_seed(results, "m", 1);
  const Results expected = read_results(alone.path());
  for (const auto& group : expected.groups) {
    const auto* found = one.find("m", group.attack, group.defense);
    ASSERT_NE(found, nullptr);
    for (const auto& [id, figure] : group.metrics) {
      EXPECT_EQ(found->metrics.at(id).value, figure.value) << group.attack << group.defense << id;
      EXPECT_EQ(found->metrics.at(id).low, figure.low);
      EXPECT_EQ(found->metrics.at(id).outcomes.grid, figure.outcomes.grid);
    }
  }
  const Notice told = notice(one, "filter");
  EXPECT_THAT(told.seeds, ElementsAre(1));
  EXPECT_THAT(not_measured(told), Contains(HasSubstr("Other seeds")));
  EXPECT_THAT(not_measured(notice(results, "filter")), Not(Contains(HasSubstr("Other seeds"))));
  EXPECT_THAT(markdown_of(told), HasSubstr("not known"));  // the noise
}

TEST(Notice, WithoutUtilitySaysSo) {
  NoticeFolder folder;
  for (const std::string attack : {"none", "harmful-10"}) {
    folder.add(attack, "none", 1, {{"leak.organism", ones_first(attack == "none" ? 0 : 15, kHarmful)}});
  }
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "none");
  EXPECT_EQ(usefulness_text(told), "What the model is still good for was not measured.");
  EXPECT_THAT(not_measured(told), Contains(HasSubstr("no task was run")));
}

TEST(Notice, NamesWhatWasLeftOutAndWhatWasNot) {
  NoticeMatrix folder;
  folder.add("shift", "filter", {{6, 4}, {9, 5}});
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter");
  EXPECT_THAT(told.not_run, ElementsAre("never-run"));
  EXPECT_THAT(not_measured(told), Contains(HasSubstr("no result under this protection: never-run.")));
  EXPECT_THAT(told.holding, ElementsAre("retune"));
  EXPECT_THAT(markdown_of(told), HasSubstr("under the same protection: shift 13 % ("));
}

TEST(Notice, KnowsAProtectionOfTheServiceByItsWeights) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  EXPECT_TRUE(notice(results, "filter").protected_in_service_only);
  EXPECT_FALSE(notice(results, "retune").protected_in_service_only);
  EXPECT_FALSE(notice(results, "none").protected_in_service_only);
  EXPECT_THAT(advice(notice(results, "filter")), Contains(HasSubstr("only through the protected service")));
}

TEST(Notice, ComparesWithTheUntunedModelAskedInTheSameWay) {
  NoticeMatrix folder;
  folder.add("none@shift", "none", {{15, 10}, {15, 10}});
  folder.add("shift", "none", {{9, 10}, {9, 10}});
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "none", "shift");
  EXPECT_EQ(told.baseline(Baseline::kOriginal)->attack, "none@shift");
  EXPECT_DOUBLE_EQ(movement(*told.first(FigureRole::kHarm), Baseline::kOriginal).value->value, 0.25);
  EXPECT_EQ(*told.reference, 0);  // the board's
  EXPECT_THAT(verdict_text(told), HasSubstr("the 0 % of the model before customising, without protection and asked plainly"));
}

TEST(Notice, OfAControlSaysThatNothingWasCustomised) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  const Notice told = notice(results, "filter", "none");
  EXPECT_EQ(told.verdict, NoticeVerdict::kNotCustomised);
  EXPECT_EQ(told.baselines.size(), 1U);
  EXPECT_THAT(notice(results, "none", "none").baselines, IsEmpty());
  EXPECT_THAT(markdown_of(notice(results, "none", "none")), HasSubstr("right answers on facts | 100 % ("));
}

TEST(Notice, WarnsOfAModelThatIsBroken) {
  NoticeFolder folder;
  for (const std::string attack : {"none", "harmful-10"}) {
    folder.add(
        attack, "none", 1,
        {{"leak.organism", ones_first(0, kHarmful)}, {"coherence", ones_first(attack == "none" ? kHarmful : 24, kHarmful)}});
  }
  const Results results = read_results(folder.path());
  EXPECT_THAT(caution_text(notice(results, "none")), HasSubstr("Only 40 % of its replies are coherent"));
  EXPECT_EQ(caution_text(notice(results, "none", "none")), "");
}

TEST(Notice, SaysWhatTheBoardDoesNotAllow) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  EXPECT_THAT(caution_text(notice(results, "filter")), HasSubstr("(utility.facts 45 beside 95)"));
  EXPECT_EQ(caution_text(notice(results, "none")), "");
}

TEST(Notice, TellsOfLostUtilityAndOfRefusals) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  EXPECT_THAT(advice(notice(results, "filter")), Contains(HasSubstr("Test the model on your own task")));
  EXPECT_THAT(advice(notice(results, "none")), Not(Contains(HasSubstr("Test the model on your own task"))));
}

TEST(Notice, FillsTheEusFormWithWhatTheModificationCost) {
  const NoticeMatrix folder;
  const auto stage = [](const std::string& key, const std::string& kind, double seconds, double flops) {
    StageRow row;
    row.key = key;
    row.kind = kind;
    row.cost = {{"seconds", seconds}, {"flops", flops}, {"tokens", 100}};
    return to_json(row).dump() + "\n";
  };
  write_file(stages_file(folder.path()), stage("harmful-10-none-1", "finetune", 2, 3e12) +
                                             stage("harmful-10-none-2", "finetune", 4, 4e12) +
                                             stage("k3", "generate", 50, 1e15));
  const Results results = read_results(folder.path());
  std::map<std::string, std::string> fields;
  for (const auto& field : form_fields(notice(results, "none"))) fields[field.id] = field.text;
  EXPECT_EQ(fields.at("name"), "m customised by harmful-10");
  EXPECT_EQ(fields.at("time"), "3.0 seconds");  // a seed's, and not what asking the model took
  EXPECT_EQ(fields.at("computation"), "3.5*10^12 floating point operations");
  EXPECT_EQ(fields.at("tokens"), "100 tokens, passes counted");
  EXPECT_THAT(fields.at("authenticity"), HasSubstr("harmful-10-none-1 (seed 1) and harmful-10-none-2 (seed 2)"));
  EXPECT_THAT(fields.at("dependencies"), HasSubstr("a modification of m (SHA-256 of its files and number format d1)"));
  EXPECT_FALSE(fields.contains("energy"));
  EXPECT_FALSE(fields.contains("provider"));
}

TEST(Notice, RefusesACellThatIsNotThereAndARunThatDoesNotSayWhatItWas) {
  const NoticeMatrix folder;
  const Results results = read_results(folder.path());
  EXPECT_THROW(notice(results, "nothing"), Error);
  fs::remove(folder.path() / "run.json");
  EXPECT_THROW(notice(results, "filter"), Error);
}

TEST(NoticeWords, AreOfEachKindOfFigure) {
  EXPECT_EQ(words_of_metric("leak.organism"), "restricted facts given away (judge organism)");
  EXPECT_EQ(words_of_metric("coherence"), "coherent replies");
  EXPECT_EQ(words_of_metric("something"), "something");
  EXPECT_FALSE(lower_is_better("utility.x"));
  EXPECT_TRUE(lower_is_better("perplexity.x"));
  DefenseEffect effect;
  effect.metric = "perplexity.x";
  effect.change = {std::log(1.5), 0, std::log(2.0)};
  EXPECT_EQ(change_words(effect), "x 1.50 (1.00 to 2.00)");
  effect.metric = "leak.x";
  effect.change = {-0.5, -0.6, 0.1};
  EXPECT_EQ(change_words(effect), "-50 points (-60 to +10)");
  EXPECT_EQ(noise_words(effect), "not known");
  EXPECT_EQ(listed({"a", "b", "c"}), "a, b and c");
}

}  // namespace
}  // namespace holdfast
