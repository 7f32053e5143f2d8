// Trainings and replies of several adapters on one model, against each alone.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/generate.h"
#include "learn/training.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A member of a gang, and what became of it.
struct Member {
  TrainingOptions options;
  Dataset data;
  std::uint64_t seed = 0;
  std::int64_t stop_after = 0;  // the power is cut then
  fs::path checkpoint = {};
  std::unique_ptr<LanguageModel> model = {};
  TrainingEnd end = {};
};

std::string message_in(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const Error& found) {
    return found.what();
  }
  return "no error";
}

class Together : public testing::TestWithParam<std::string> {
 protected:
  struct PowerCut {};

  // Of other seeds, rows, numbers of steps, schedules, ranks and modules.
  std::vector<Member> members(const fs::path& folder = {}) const {
    std::vector<Member> made(4);
    for (std::size_t m = 0; m < made.size(); ++m) {
      Member& member = made[m];
      member.seed = 11 * m;
      member.data = fixtures::trained_rows();
      member.data.resize(7 - m);
      member.options.method = "lora";
      member.options.lr = 3e-3;
      member.options.lora_rank = 4;
      member.options.batch_size = 3;
      member.options.epochs = static_cast<std::int64_t>(2 + m % 2);
      member.options.clip_norm = 0.5;
      if (!folder.empty()) member.checkpoint = folder / (std::to_string(m) + ".safetensors");
    }
    made[1].options.micro_batch_size = 2;
    made[2].options.schedule = "cosine";
    made[3].options.lora_rank = 2;
    made[3].options.lora_targets = {"q_proj", "down_proj"};
    return made;
  }

  // Runs them as one gang. A power cut ends it, as a killed worker does.
  void run(const std::vector<Member*>& gang) const {
    std::vector<TrainingTask> tasks;
    for (Member* member : gang) {
      member->model = base_->share();
      TrainingTask task{member->model.get(), &member->data, member->options, {}};
      task.run.order_seed = member->seed;
      task.run.init_seed = member->seed + 1;
      task.run.checkpoint = {member->checkpoint, 0, [] { return std::string("the fixture"); }};
      task.run.on_step = [member](const TrainedStep& record) {
        if (record.step == member->stop_after) throw PowerCut();
      };
      tasks.push_back(std::move(task));
    }
    std::vector<TrainingEnd> ends;
    try {
      ends = train_together(tasks);
    } catch (const PowerCut&) {
      return;
    }
    for (std::size_t i = 0; i < gang.size(); ++i) gang[i]->end = std::move(ends[i]);
  }

  void run(std::vector<Member>& gang) const {
    std::vector<Member*> all;
    for (auto& member : gang) all.push_back(&member);
    run(all);
  }

  void run_alone(std::vector<Member>& each) const {
    for (auto& member : each) run({&member});
  }

  static void expect_same(const Member& a, const Member& b) {
    EXPECT_EQ(message_in(a.end.error), message_in(b.end.error));
    ASSERT_EQ(a.end.steps.size(), b.end.steps.size());
    for (std::size_t i = 0; i < a.end.steps.size(); ++i) {
      const TrainedStep &one = a.end.steps[i], &other = b.end.steps[i];
      EXPECT_EQ(one.step, other.step);
      EXPECT_EQ(one.loss, other.loss) << "step " << one.step;
      EXPECT_EQ(one.lr, other.lr);
      EXPECT_EQ(one.gradient_norm, other.gradient_norm) << "step " << one.step;
      EXPECT_EQ(one.tokens, other.tokens);
    }
    const auto ours = a.model->trainable(), theirs = b.model->trainable();
    ASSERT_EQ(ours.size(), theirs.size());
    for (const auto& [name, factor] : ours) EXPECT_TRUE(at::equal(factor, theirs.at(name))) << name;
  }

  std::shared_ptr<const LanguageModel> base_ = fixtures::load(GetParam());
  ScratchFolder scratch_;
};

TEST_P(Together, EachIsTrainedAsItIsAlone) {
  auto gang = members(), alone = members();
  run(gang);
  run_alone(alone);
  EXPECT_NE(alone[0].end.steps.size(), alone[2].end.steps.size()) << "they leave at different steps";
  for (std::size_t m = 0; m < gang.size(); ++m) {
    SCOPED_TRACE(m);
    EXPECT_FALSE(gang[m].end.error);
    expect_same(gang[m], alone[m]);
  }
}

TEST_P(Together, BlocksThatRunAgainGiveEachTheSame) {
  auto alone = members();
  run_alone(alone);
  for (const std::size_t asks : {0, 1}) {
    auto gang = members();
    gang[asks].options.activation_checkpoints = true;
    run(gang);
    for (std::size_t m = 0; m < gang.size(); ++m) {
      SCOPED_TRACE(m);
      expect_same(gang[m], alone[m]);
    }
  }
}

TEST_P(Together, OneThatFailsLeavesTheOthersAlone) {
  auto gang = members(), alone = members();
  for (auto* all : {&gang, &alone}) {
    (*all)[0].data = {{{{"user", "no answer"}}, {}}};
    (*all)[2].options.lr = 1e30;  // diverges after some steps
    (*all)[2].options.epochs = 9;
  }
  run(gang);
  run_alone(alone);
  EXPECT_THAT(message_in(gang[0].end.error), StartsWith("there is nothing to learn"));
  EXPECT_THAT(message_in(gang[2].end.error), StartsWith("training diverged: "));
  EXPECT_EQ(message_in(gang[2].end.error), message_in(alone[2].end.error));
  EXPECT_EQ(gang[2].end.steps.size(), alone[2].end.steps.size());
  for (const std::size_t lives : {1, 3}) {
    SCOPED_TRACE(lives);
    EXPECT_FALSE(gang[lives].end.error);
    expect_same(gang[lives], alone[lives]);
  }
}

// A joint pass that fails does not say by whom.
TEST_P(Together, ARowBeyondTheModelsLimitCostsItsOwnTraining) {
  auto gang = members(), alone = members();
  for (auto* all : {&gang, &alone}) {
    std::string longest;
    for (int i = 0; i < 3000; ++i) longest += "word ";
    (*all)[1].data[0].messages.front().content = longest;
    (*all)[1].options.max_length = 100000;
  }
  run(gang);
  run_alone(alone);
  EXPECT_THAT(message_in(gang[1].end.error), HasSubstr("the model's limit is"));
  for (std::size_t m = 0; m < gang.size(); ++m) {
    SCOPED_TRACE(m);
    if (m != 1) expect_same(gang[m], alone[m]);
  }
}

TEST_P(Together, AStoppedOneGoesOnAloneOrInAnotherGang) {
  auto stopped = members(scratch_.path()), alone = members();
  stopped[0].stop_after = 3;
  run(stopped);
  for (auto& member : stopped) member.stop_after = 0;
  testing::internal::CaptureStderr();
  run({&stopped[0]});
  run({&stopped[3], &stopped[1], &stopped[2]});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("training goes on after step 2 of 6"));
  run_alone(alone);
  for (std::size_t m = 0; m < alone.size(); ++m) {
    SCOPED_TRACE(m);
    expect_same(stopped[m], alone[m]);
  }
}

class AnswersTogether : public testing::Test {
 protected:
  AnswersTogether() {
    for (std::uint64_t m = 0; m < 3; ++m) {
      auto model = base_->share();
      model->decoder().add_adapters({3, 6, m == 2 ? std::vector<std::string>{"o_proj"} : std::vector<std::string>{}}, m);
      for (auto& [name, factor] : model->trainable()) {
        const auto waves = at::sin(at::arange(factor.numel()) + static_cast<double>(m)).reshape(factor.sizes());
        factor.add_(waves.to(factor.scalar_type()), 0.2);
      }
      models_.push_back(std::move(model));
    }
    models_.push_back(base_->share());
  }

  std::vector<LanguageModel::Questions> questions(double temperature) const {
    std::vector<LanguageModel::Questions> asked;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      GenerateOptions options;
      options.max_new_tokens = 12;
      options.batch_size = 2;
      options.temperature = temperature;
      options.seed = 5 + m;
      LanguageModel::Questions one{models_[m].get(), {}, options};
      for (std::size_t p = 0; p < 3 + m; ++p) one.prompts.push_back({rows_[p].messages.front()});
      asked.push_back(std::move(one));
    }
    return asked;
  }

  std::shared_ptr<const LanguageModel> base_ = fixtures::load("grouped");
  std::vector<std::unique_ptr<LanguageModel>> models_;
  Dataset rows_ = fixtures::trained_rows();
};

TEST_F(AnswersTogether, EachRepliesAsItDoesAlone) {
  for (const double temperature : {0.0, 1.0}) {
    const auto asked = questions(temperature);
    const auto answers = LanguageModel::generate_together(asked);
    ASSERT_EQ(answers.size(), asked.size());
    std::set<std::vector<std::int64_t>> distinct;
    for (std::size_t m = 0; m < asked.size(); ++m) {
      const auto alone = asked[m].model->generate(asked[m].prompts, asked[m].options);
      ASSERT_EQ(answers[m].replies.size(), alone.size());
      for (std::size_t i = 0; i < alone.size(); ++i) {
        EXPECT_EQ(answers[m].replies[i].ids, alone[i].ids) << "member " << m << " prompt " << i;
        EXPECT_EQ(answers[m].replies[i].text, alone[i].text);
        EXPECT_EQ(answers[m].replies[i].cut, alone[i].cut);
      }
      distinct.insert(alone.front().ids);
    }
    EXPECT_EQ(distinct.size(), asked.size()) << "the adapters matter";
  }
}

TEST_F(AnswersTogether, OneThatIsRefusedLeavesTheOthersAlone) {
  auto asked = questions(0);
  std::string longest;
  for (int i = 0; i < 3000; ++i) longest += "word ";
  asked[1].prompts[0].front().content = longest;
  const auto answers = LanguageModel::generate_together(asked);
  EXPECT_THAT(message_in(answers[1].error), HasSubstr("the model's limit is"));
  for (const std::size_t m : {0, 2, 3}) {
    EXPECT_FALSE(answers[m].error);
    const auto alone = asked[m].model->generate(asked[m].prompts, asked[m].options);
    ASSERT_EQ(answers[m].replies.size(), alone.size());
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(answers[m].replies[i].ids, alone[i].ids);
  }
}

// Each with a way of sampling and a length of its own.
TEST_F(AnswersTogether, EachKeepsItsOptions) {
  auto asked = questions(0);
  for (std::size_t m = 0; m < asked.size(); ++m) {
    asked[m].options.temperature = m == 0 ? 0 : 0.5 + 0.5 * static_cast<double>(m / 2);  // two of them the same
    asked[m].options.top_p = m == 3 ? 0.6 : 1;
    asked[m].options.max_new_tokens = 3 + 4 * static_cast<std::int64_t>(m);
  }
  const auto answers = LanguageModel::generate_together(asked);
  for (std::size_t m = 0; m < asked.size(); ++m) {
    const auto alone = asked[m].model->generate(asked[m].prompts, asked[m].options);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      EXPECT_EQ(answers[m].replies[i].ids, alone[i].ids) << "member " << m << " prompt " << i;
      EXPECT_LE(alone[i].ids.size(), 3 + 4 * m);
    }
  }
}

// Keeps what it is told, and ends some replies.
class Watcher final : public ReplyListener {
 public:
  bool grown(std::size_t member, std::size_t prompt, const std::vector<std::int64_t>& reply, bool ended) override {
    auto& seen = told[{member, prompt}];
    const std::size_t fresh = reply.size() - seen.size();
    EXPECT_EQ(fresh, ended && fresh == 0 ? 0U : 1U);
    EXPECT_TRUE(std::equal(seen.begin(), seen.end(), reply.begin()));
    EXPECT_FALSE(over.contains({member, prompt}));
    seen = reply;
    if (ended) over.insert({member, prompt});
    return member != stopped || reply.size() < 2;
  }
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::int64_t>> told;
  std::set<std::pair<std::size_t, std::size_t>> over;
  std::size_t stopped = 99;
};

TEST_F(AnswersTogether, AreHeardWhileTheyGrow) {
  const auto asked = questions(1);
  Watcher watcher;
  const auto answers = LanguageModel::generate_together(asked, &watcher);
  const auto unheard = LanguageModel::generate_together(asked);
  std::size_t count = 0;
  for (std::size_t m = 0; m < asked.size(); ++m) {
    for (std::size_t i = 0; i < answers[m].replies.size(); ++i, ++count) {
      EXPECT_EQ(watcher.told.at({m, i}), answers[m].replies[i].ids);
      EXPECT_EQ(unheard[m].replies[i].ids, answers[m].replies[i].ids);
    }
  }
  EXPECT_EQ(watcher.over.size(), count);
}

TEST_F(AnswersTogether, AreEndedByTheirListenerAndTheOthersGoOn) {
  auto asked = questions(0);
  Watcher watcher;
  watcher.stopped = 2;
  const auto answers = LanguageModel::generate_together(asked, &watcher);
  const auto whole = LanguageModel::generate_together(asked);
  for (std::size_t m = 0; m < asked.size(); ++m) {
    ASSERT_FALSE(answers[m].error);
    for (std::size_t i = 0; i < whole[m].replies.size(); ++i) {
      auto wanted = whole[m].replies[i].ids;
      if (m == 2) wanted.resize(std::min<std::size_t>(2, wanted.size()));
      EXPECT_EQ(answers[m].replies[i].ids, wanted);
      EXPECT_EQ(answers[m].replies[i].cut, m != 2 && whole[m].replies[i].cut);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Together, testing::Values("grouped", "gemma2"), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace holdfast
