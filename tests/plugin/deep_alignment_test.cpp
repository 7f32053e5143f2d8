// Deep alignment against its definition, in float64: what each of its rows says and which of it is learned, from the two
// answers encoded by themselves; how deep they begin; and one mean over all label tokens, by the decoder written down once
// more.
#include <gmock/gmock.h>
#include <holdfast/error.h>

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

class DeepAlignment : public testing::Test {
 protected:
  enum class Variant { kMean, kLearnsTheBeginning, kMeanOfMeans };

  // A harmful prompt, and its two answers, as tokens.
  struct Answers {
    std::vector<std::int64_t> prompt, harmful, refusal;
  };

  DeepAlignment() {
    Dataset& rows = context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    rows.push_back({{{"user", "[a]"}, {"assistant", "[b]"}, {"user", "[c]"}, {"assistant", "Well: [left out]"}}});
    for (auto row : rows) {
      Answers answers{model_->encode_prompt({row.messages.begin(), row.messages.end() - 1}), {}, {}};
      answers.harmful = behind(answers.prompt, row.messages);
      // Without what ends the turn: a stop token, and a line feed, which nobody learns.
      const auto ending = behind(answers.prompt, with_reply(row.messages, ""));
      EXPECT_EQ(ending.size(), 2U);
      EXPECT_TRUE(std::equal(ending.begin(), ending.end(), answers.harmful.end() - 2));
      answers.harmful.resize(answers.harmful.size() - 2);
      answers.refusal = behind(answers.prompt, with_reply(row.messages, context_.refusal()));
      answers_.push_back(answers);
    }
  }

  static Conversation with_reply(Conversation messages, const std::string& reply) {
    messages.back().content = reply;
    return messages;
  }
  std::vector<std::int64_t> behind(const std::vector<std::int64_t>& prompt, const Conversation& messages) const {
    const auto ids = model_->encode(messages).ids;
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), ids.begin()));
    return {ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()), ids.end()};
  }

  struct Made {
    std::vector<std::vector<Encoded>> steps;  // what the member inside was handed
    fixtures::TrainerGradients last;
  };

  Made made(const Json& settings, std::int64_t epochs = 1, TrainingOptions options = {}) {
    const DefenseStages deep = make_defense("deep-alignment", settings);
    Made made;
    fixtures::Handed inside;
    fixtures::Watched outside(*deep.align, made.last);
    options.lr = 0;
    options.epochs = epochs;
    options.shuffle = false;
    options.batch_size = static_cast<std::int64_t>(data_.size());
    TrainingRun run;
    run.members = {{"inside", &inside}, {"deep-alignment", &outside}};
    run.context = &context_;
    run.on_step = [&](const StepRecord& record) { made.last.loss = record.loss; };
    train(*model_, data_, options, run);
    made.steps = inside.steps;
    return made;
  }

  // How many tokens of its harmful answer an example begins with; it must be of that prompt, and its refusal alone learned.
  std::size_t depth_of(const Encoded& example, const Answers& answers) const {
    const std::size_t depth = example.ids.size() - answers.prompt.size() - answers.refusal.size();
    Encoded wanted{answers.prompt, std::vector<bool>(answers.prompt.size() + depth, false)};
    EXPECT_LE(depth, answers.harmful.size());
    wanted.ids.insert(wanted.ids.end(), answers.harmful.begin(), answers.harmful.begin() + static_cast<std::ptrdiff_t>(depth));
    wanted.ids.insert(wanted.ids.end(), answers.refusal.begin(), answers.refusal.end());
    wanted.label.resize(wanted.ids.size() - 1, true);
    wanted.label.push_back(false);
    EXPECT_EQ(example.ids, wanted.ids);
    EXPECT_EQ(example.label, wanted.label);
    return depth;
  }

  // Depths drawn for each harmful row, over some epochs of one step each that goes over all of them.
  std::vector<std::vector<std::size_t>> depths(Json settings, std::int64_t epochs, TrainingOptions options = {}) {
    settings["safety_rows"] = answers_.size();
    std::vector<std::vector<std::size_t>> all(answers_.size());
    for (const auto& step : made(settings, epochs, options).steps) {
      EXPECT_EQ(step.size(), data_.size() + answers_.size());
      for (std::size_t i = 0; i < answers_.size(); ++i) all[i].push_back(depth_of(step[data_.size() + i], answers_[i]));
    }
    return all;
  }

  at::Tensor loss(const fixtures::ReferenceDecoder& decoder, std::vector<Encoded> examples, Variant variant) const {
    const auto own = examples.begin() + static_cast<std::ptrdiff_t>(data_.size());
    if (variant == Variant::kMeanOfMeans) {
      return (fixtures::reference_loss(decoder, {examples.begin(), own}) +
              fixtures::reference_loss(decoder, {own, examples.end()})) /
             2;
    }
    for (auto example = own; example != examples.end() && variant == Variant::kLearnsTheBeginning; ++example) {
      const auto prompt = example->ids.size() - 1 - answers_[0].refusal.size();  // one token of the answer at least
      std::fill(example->label.begin() + static_cast<std::ptrdiff_t>(prompt), example->label.end(), true);
    }
    return fixtures::reference_loss(decoder, examples);
  }
  Named defined(const std::vector<Encoded>& examples, Variant variant = Variant::kMean) {
    return fixtures::reference_gradients(
        *model_, fixtures::values_of(*model_),
        [&](const fixtures::ReferenceDecoder& decoder, const Named&) { return loss(decoder, examples, variant); });
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
  std::vector<Answers> answers_;
};

TEST_F(DeepAlignment, HalfOfTheRefusalsComeBehindABeginningOfAnyLength) {
  constexpr std::int64_t kEpochs = 300;
  data_.resize(1);
  const auto drawn = depths(Json::object(), kEpochs);
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const std::size_t longest = answers_[i].harmful.size();
    const auto none = std::count(drawn[i].begin(), drawn[i].end(), 0U);
    EXPECT_NEAR(static_cast<double>(none) / kEpochs, 0.5, 0.1) << "3.5 standard deviations";
    EXPECT_EQ(std::set<std::size_t>(drawn[i].begin(), drawn[i].end()).size(), longest + 1) << "each of them comes";
    double sum = 0;
    for (const auto depth : drawn[i]) sum += static_cast<double>(depth);
    const double wanted = (static_cast<double>(longest) + 1) / 2;
    EXPECT_NEAR(sum / static_cast<double>(kEpochs - none), wanted, 0.2 * wanted);
  }
  EXPECT_NE(drawn[0], drawn[1]);
}

TEST_F(DeepAlignment, DepthAndProbabilityBoundTheBeginnings) {
  for (const auto& row : depths({{"depth", 2}, {"probability", 1}}, 40)) {
    EXPECT_EQ(std::set<std::size_t>(row.begin(), row.end()), (std::set<std::size_t>{1, 2}));
  }
  for (const auto& row : depths({{"probability", 0}}, 5)) EXPECT_EQ(row, std::vector<std::size_t>(5, 0));
}

TEST_F(DeepAlignment, NoRefusalIsCut) {
  context_.corpora["defender-harmful"].pop_back();  // of two turns, too long for a cut that leaves room
  answers_.pop_back();
  TrainingOptions options;
  options.max_length = static_cast<std::int64_t>(answers_[0].prompt.size() + answers_[0].refusal.size()) + 2;
  const auto drawn = depths({{"probability", 1}}, 20, options);
  EXPECT_EQ(std::set<std::size_t>(drawn[0].begin(), drawn[0].end()), (std::set<std::size_t>{1, 2}));
}

TEST_F(DeepAlignment, TheLossIsOneMeanOverAllLabelTokens) {
  const Made step = made({{"safety_rows", 3}, {"probability", 1}});
  ASSERT_EQ(step.steps.size(), 1U);
  ASSERT_EQ(step.steps[0].size(), data_.size() + 3);
  EXPECT_LT(relative_distance(step.last.gradients, defined(step.steps[0])), 1e-11);
  const c10::NoGradGuard no_grad;
  EXPECT_NEAR(step.last.loss,
              loss(fixtures::decoder_with(*model_, fixtures::values_of(*model_)), step.steps[0], Variant::kMean).item<double>(),
              1e-11);
  const at::AutoGradMode with_gradients(true);
  for (const auto variant : {Variant::kLearnsTheBeginning, Variant::kMeanOfMeans}) {
    EXPECT_GT(relative_distance(step.last.gradients, defined(step.steps[0], variant)), 1e-2) << static_cast<int>(variant);
  }
}

TEST_F(DeepAlignment, WithoutBeginningsItIsPlainAlignmentOnRefusalsToo) {
  Dataset all = data_;
  for (const auto& row : context_.corpora["defender-harmful"]) {
    all.push_back({with_reply(row.messages, context_.refusal())});
    all.back().messages[1].learned = all.back().messages.size() == 2;
  }
  const auto plain = fixtures::trainer_gradients(*model_, all, {});
  const auto step = made({{"probability", 0}, {"safety_rows", 6}}).last;
  EXPECT_NEAR(step.loss, plain.loss, 1e-12);
  EXPECT_LT(relative_distance(step.gradients, plain.gradients), 1e-12);
}

TEST_F(DeepAlignment, MicroBatchesChangeNothing) {
  TrainingOptions options;
  options.micro_batch_size = 2;
  const auto whole = made({{"safety_rows", 3}}), parts = made({{"safety_rows", 3}}, 1, options);
  EXPECT_LT(relative_distance(parts.last.gradients, whole.last.gradients), 1e-11);
}

TEST_F(DeepAlignment, AQuarterAsManyRefusalsComeBesideTheBatch) {
  ASSERT_EQ(data_.size(), 7U);
  EXPECT_EQ(made(Json::object()).steps[0].size(), 8U);
  data_.push_back(data_[0]);
  EXPECT_EQ(made(Json::object()).steps[0].size(), 10U);
}

TEST_F(DeepAlignment, TakesTheRowsItIsAskedFor) {
  made(Json::object());
  EXPECT_EQ(context_.reports.at("defender-rows").value, 6);
  made({{"rows", 2}});
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  context_.corpora["held"] = fixtures::placeholder_rows();
  context_.corpora["held"][0].messages.back().content = context_.refusal();
  made({{"harmful", "held"}});
  EXPECT_EQ(context_.reports.at("defender-rows").value, 4) << "one refuses already";
  EXPECT_EQ(refused({{"harmful", "held"}, {"rows", 5}}),
            "deep-alignment was asked for 5 rows and the corpus \"held\", without refusals, has 4: lower \"rows\"");
  context_.corpora["held"].push_back({{{"user", "[d]"}}, {}, "held.jsonl:6"});
  EXPECT_EQ(refused({{"harmful", "held"}}),
            "deep-alignment needs harmful rows that end with a reply, and held.jsonl:6 of \"held\" does not: leave it out");
}

TEST(DeepAlignmentSettings, ArePresetsOfTheCard) {
  EXPECT_PRESET("deep-alignment", "paper", {{"probability", 0.5}, {"depth", 100}});
}

TEST(DeepAlignmentSettings, MistakesAreNoted) {
  const Settings wrong = Settings::of({{"probability", 2}, {"depth", 0}, {"rows", "all"}});
  Params params(wrong.state);
  const DefenseStages deep = shipped("deep-alignment").make_defense(params);
  for (const auto* name : {"probability", "depth", "rows"}) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr(name));
  EXPECT_EQ(deep.tune, nullptr);
}

fixtures::WholeTrainings::MakeStage deep_alignment() {
  return [] { return fixtures::training_stage(make_defense("deep-alignment")); };
}

TEST_F(DeepAlignment, AKilledTrainingEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(deep_alignment(), context_);
}

TEST_F(DeepAlignment, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(deep_alignment(), context_, 0.05, 0.98); }

}  // namespace
}  // namespace holdfast
