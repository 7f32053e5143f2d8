// SDD against its definition: the answer drawn for each prompt, by cosines of a double loop and the draws made once more; what
// is learned of it, and one mean over all label tokens, by the decoder written down once more in float64.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>
#include <set>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/handed_batches.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::relative_distance;
using testing::HasSubstr;

class Sdd : public testing::Test {
 protected:
  Sdd() {
    Dataset& harmful = context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    harmful.push_back({{{"user", "[a]"}, {"assistant", "[b]"}, {"user", "[c]"}, {"assistant", "Well: [left out]"}}});
    for (auto& row : data_) row.tags["kind"] = "benign";
    data_[1].tags["kind"] = "harmful";
    context_.alignment_rows = data_;
    for (const auto& row : harmful) prompts_.push_back(last_content(row.messages, "user"));
    for (const auto& row : data_) {
      if (row.tags.at("kind") == "benign") answers_.push_back(last_content(row.messages, "assistant"));
    }
  }

  struct Made {
    std::vector<Encoded> handed;  // to the member inside, in the first step
    fixtures::TrainerGradients step;
  };

  Made made(const Json& settings, std::int64_t micro_batch_size = 0) {
    const DefenseStages sdd = make_defense("sdd", settings);
    Made made;
    fixtures::Handed inside;
    fixtures::Watched outside(*sdd.align, made.step);
    TrainingOptions options;
    options.lr = 0;
    options.shuffle = false;
    options.micro_batch_size = micro_batch_size;
    options.batch_size = static_cast<std::int64_t>(data_.size());
    Dataset rows = data_;
    sdd.align->prepare(options, rows, context_);
    TrainingRun run;
    run.members = {{"inside", &inside}, {"sdd", &outside}};
    run.context = &context_;
    run.on_step = [&](const StepRecord& record) { made.step.loss = record.loss; };
    train(*model_, rows, options, run);
    made.handed = inside.steps.at(0);
    return made;
  }

  // The answer of each prompt, told from what was handed; the last reply alone must be learned.
  std::vector<std::size_t> answers_drawn(const Json& settings, const std::string& sentence = "") {
    Json alone = settings;
    alone["own_rows"] = "none";
    const std::vector<Encoded> handed = made(alone).handed;
    EXPECT_EQ(handed.size(), prompts_.size());
    std::vector<std::size_t> drawn;
    for (std::size_t i = 0; i < handed.size(); ++i) {
      Conversation messages = context_.corpora.at("defender-harmful")[i].messages;
      for (auto& turn : messages) turn.learned = false;
      messages.back().learned = true;
      for (std::size_t a = 0; a < answers_.size(); ++a) {
        messages.back().content = sentence + answers_[a];
        const Encoded wanted = model_->encode(messages);
        if (wanted.ids == handed[i].ids && wanted.label == handed[i].label) drawn.push_back(a);
      }
    }
    EXPECT_EQ(drawn.size(), handed.size());
    return drawn;
  }

  // cosines[i][a], by loops.
  std::vector<std::vector<double>> cosines(bool centered) {
    std::vector<Conversation> turns;
    for (const auto& texts : {prompts_, answers_}) {
      for (const auto& text : texts) turns.push_back({{"user", text}});
    }
    const at::Tensor means = model_->mean_hidden(turns).to(at::kDouble).contiguous();
    const std::int64_t width = means.size(1);
    std::vector<std::vector<double>> rows;
    for (std::int64_t i = 0; i < means.size(0); ++i) {
      const double* row = means.data_ptr<double>() + i * width;
      rows.emplace_back(row, row + width);
    }
    for (std::size_t c = 0; c < static_cast<std::size_t>(width) && centered; ++c) {
      double of_prompts = 0, of_answers = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) (i < prompts_.size() ? of_prompts : of_answers) += rows[i][c];
      for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i][c] -= i < prompts_.size() ? of_prompts / static_cast<double>(prompts_.size())
                                          : of_answers / static_cast<double>(answers_.size());
      }
    }
    const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
      double sum = 0;
      for (std::size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
      return sum;
    };
    std::vector<std::vector<double>> out(prompts_.size());
    for (std::size_t i = 0; i < prompts_.size(); ++i) {
      for (std::size_t a = prompts_.size(); a < rows.size(); ++a) {
        out[i].push_back(dot(rows[i], rows[a]) / std::sqrt(dot(rows[i], rows[i]) * dot(rows[a], rows[a])));
      }
    }
    return out;
  }

  // The rule, one draw at a time.
  std::vector<std::size_t> defined(double threshold, int draws, bool centered = true) {
    Random random(context_.seed("irrelevant answers"));
    std::vector<std::size_t> drawn;
    for (const auto& row : cosines(centered)) {
      std::vector<std::size_t> seen;
      for (int draw = 0; draw < draws; ++draw) {
        seen.push_back(random.below(row.size()));
        if (row[seen.back()] <= threshold) break;
      }
      drawn.push_back(*std::min_element(seen.begin(), seen.end(), [&](auto a, auto b) { return row[a] < row[b]; }));
    }
    return drawn;
  }

  Named gradients(const std::vector<Encoded>& examples) {
    return fixtures::reference_gradients(
        *model_, fixtures::values_of(*model_),
        [&](const fixtures::ReferenceDecoder& decoder, const Named&) { return fixtures::reference_loss(decoder, examples); });
  }

  std::string refused(const Json& settings) {
    try {
      made(settings);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
  std::vector<std::string> prompts_, answers_;
};

TEST_F(Sdd, DrawsAnAnswerUntilItIsUnlikeThePrompt) {
  std::set<std::vector<std::size_t>> all;
  for (const double threshold : {-0.2, 0.0, 0.1, 1.0}) {
    for (const int draws : {1, 3, 50}) {
      const auto drawn = answers_drawn({{"threshold", threshold}, {"draws", draws}});
      EXPECT_EQ(drawn, defined(threshold, draws)) << threshold << " " << draws;
      all.insert(drawn);
    }
  }
  EXPECT_GE(all.size(), 4U) << "threshold and draws matter";
  EXPECT_NE(answers_drawn({{"threshold", 0}}), defined(0, 50, false)) << "centered";
  EXPECT_EQ(answers_drawn({{"threshold", 0.9}, {"centered", false}}), defined(0.9, 50, false));
}

TEST_F(Sdd, TheLeastSimilarStandsWhereNoneIsUnlikeEnough) {
  const auto drawn = answers_drawn({{"threshold", -1}, {"draws", 500}});
  EXPECT_EQ(context_.reports.at("irrelevant-answers").value, 0);
  const auto all = cosines(true);
  for (std::size_t i = 0; i < drawn.size(); ++i) EXPECT_EQ(all[i][drawn[i]], *std::min_element(all[i].begin(), all[i].end()));
  answers_drawn({{"threshold", 1}});
  EXPECT_EQ(context_.reports.at("irrelevant-answers").value, static_cast<double>(prompts_.size()));
  EXPECT_EQ(context_.reports.at("irrelevant-answers").n, static_cast<std::int64_t>(prompts_.size()));
}

TEST_F(Sdd, DrawsFromTheCellsSeed) {
  const auto once = answers_drawn({{"threshold", 1}});
  context_.cell_seed = 7;
  EXPECT_NE(answers_drawn({{"threshold", 1}}), once);
}

TEST_F(Sdd, PutsASentenceBeforeEveryAnswer) {
  EXPECT_EQ(answers_drawn({{"sentence", "No. "}}, "No. "), answers_drawn(Json::object()));
}

TEST_F(Sdd, TheLossIsOneMeanOverPairsAndOwnRows) {
  for (const std::string own : {"general", "all", "none"}) {
    const Made step = made({{"own_rows", own}});
    const std::size_t rows = own == "general" ? data_.size() - 1 : own == "all" ? data_.size() : 0;
    ASSERT_EQ(step.handed.size(), rows + prompts_.size());
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t row = own == "general" && i > 0 ? i + 1 : i;  // without the one that is harmful
      EXPECT_EQ(step.handed[i].ids, model_->encode(data_[row].messages).ids);
    }
    EXPECT_LT(relative_distance(step.step.gradients, gradients(step.handed)), 1e-11) << own;
    EXPECT_LT(relative_distance(made({{"own_rows", own}}, 2).step.gradients, step.step.gradients), 1e-11) << own;
    if (rows == 0) continue;
    const auto own_end = step.handed.begin() + static_cast<std::ptrdiff_t>(rows);
    const Named sum = fixtures::plus(gradients({step.handed.begin(), own_end}), 1, gradients({own_end, step.handed.end()}));
    EXPECT_GT(relative_distance(step.step.gradients, sum), 1e-2) << "no sum of two means";
  }
}

TEST_F(Sdd, TakesTheRowsItIsAskedFor) {
  made(Json::object());
  EXPECT_EQ(context_.reports.at("defender-rows").value, 6);
  made({{"rows", 2}});
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(refused({{"rows", 7}}),
            "sdd was asked for 7 rows and the corpus \"defender-harmful\", without refusals, has 6: lower \"rows\"");
  for (auto& row : data_) row.tags.clear();
  const std::string untagged = "sdd needs alignment rows of kind \"benign\" and there is none: tag them so";
  EXPECT_EQ(refused(Json::object()), untagged);
  context_.alignment_rows = data_;
  EXPECT_EQ(refused({{"own_rows", "all"}}), untagged);
}

TEST(SddSettings, ArePresetsOfTheCard) {
  EXPECT_PRESET("sdd", "paper", {{"threshold", 0.25}, {"draws", 50}, {"own_rows", "none"}, {"sentence", ""}});
  EXPECT_PRESET(
      "sdd", "reject",
      {{"threshold", 0.25},
       {"draws", 50},
       {"own_rows", "none"},
       {"sentence",
        "I refuse to answer your question for responsible and ethical reasons. I provided an irrational answer to your "
        "question.\n\n"}});
}

TEST(SddSettings, MistakesAreNoted) {
  const Settings wrong = Settings::of({{"threshold", 2}, {"draws", 0}, {"own_rows", "some"}});
  Params params(wrong.state);
  const DefenseStages sdd = shipped("sdd").make_defense(params);
  for (const auto* name : {"threshold", "draws", "own_rows"}) EXPECT_THAT(wrong.mistakes(), HasSubstr(name));
  EXPECT_FALSE(make_defense("sdd").align->draws_itself());
  EXPECT_TRUE(make_defense("sdd", {{"own_rows", "none"}}).align->draws_itself());
}

fixtures::WholeTrainings::MakeStage sdd() {
  return [] { return fixtures::training_stage(make_defense("sdd", {{"own_rows", "all"}})); };
}

TEST_F(Sdd, AKilledTrainingEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(sdd(), context_); }

// A threshold that nothing passes by rounding: the same pairs in both.
TEST_F(Sdd, StaysCloseInBfloat16) {
  const auto first_answers = [] {
    return fixtures::training_stage(make_defense("sdd", {{"own_rows", "all"}, {"threshold", 1}}));
  };
  fixtures::expect_bfloat16_stays_close(first_answers, context_, 0.05, 0.98);
}

}  // namespace
}  // namespace holdfast
