// A training that was stopped and goes on, against the same one undisturbed.
#include "learn/training_checkpoint.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <signal.h>

#include "base/process_name.h"
#include "base/scratch_folder.h"
#include "base/stop_point.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/training.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

struct TrainingCase {
  std::string method, dtype;
  std::string states = "float32";
  bool checkpoints = false;
};

struct Given {
  TrainingOptions options;
  Dataset data;
  std::uint64_t order_seed = 5, init_seed = 6;
  std::string start = "the fixture";
  double seconds = 0;  // a checkpoint after every step
  std::int64_t stop_after = 0;
  bool asked = false;  // to stop, by the signal; else the power fails
};

class Resuming : public testing::TestWithParam<TrainingCase> {
 protected:
  struct PowerCut {};

  struct Outcome {
    std::unique_ptr<LanguageModel> model;
    std::vector<TrainedStep> records, seen;  // returned, and given to on_step
    int calls = 0;                           // of the step function
    bool stopped = false;                    // because it was asked to
  };

  // Four steps an epoch, the last of them short; three epochs.
  static Given settings(std::int64_t stop_after = 0) {
    Given made;
    made.stop_after = stop_after;
    made.data = fixtures::trained_rows();
    TrainingOptions& options = made.options;
    options.method = GetParam().method;
    options.lr = 3e-3;
    options.epochs = 3;
    options.batch_size = 2;
    options.micro_batch_size = 1;
    options.schedule = "cosine";
    options.warmup_steps = 3;
    options.weight_decay = 0.1;
    options.clip_norm = 0.5;
    options.lora_rank = 3;
    options.optimizer_states = GetParam().states;
    options.activation_checkpoints = GetParam().checkpoints;
    return made;
  }

  Outcome run(const Given& given, const fs::path& file) {
    Outcome outcome;
    outcome.model = load_model(fixtures::checkpoint("grouped").string(), {"cpu", GetParam().dtype});
    TrainingRun run;
    run.order_seed = given.order_seed;
    run.init_seed = given.init_seed;
    run.checkpoint = {file, given.seconds, [&] { return given.start; }};
    StepStage stage([&](Trainer& trainer) {
      ++outcome.calls;
      return trainer.backward(trainer.rows().next());
    });
    run.members = {{"a stage", &stage}};
    run.on_step = [&](const TrainedStep& record) {
      outcome.seen.push_back(record);
      if (record.step != given.stop_after) return;
      if (!given.asked) throw PowerCut();
      ::raise(SIGUSR1);
    };
    listen_to_stop_signal(SIGUSR1);
    try {
      outcome.records = train(*outcome.model, given.data, given.options, run);
    } catch (const PowerCut&) {
    } catch (const Stopped&) {
      outcome.stopped = true;
    }
    return outcome;
  }

  static void expect_same(const Outcome& a, const Outcome& b) {
    const auto weights = a.model->trainable();
    ASSERT_EQ(weights.size(), b.model->trainable().size());
    for (const auto& [name, weight] : b.model->trainable()) EXPECT_TRUE(at::equal(weights.at(name), weight)) << name;
    expect_same_records(a.records, b.records);
  }

  static void expect_same_records(const std::vector<TrainedStep>& a, const std::vector<TrainedStep>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].step, b[i].step);
      EXPECT_EQ(a[i].loss, b[i].loss) << "step " << a[i].step;
      EXPECT_EQ(a[i].lr, b[i].lr) << "step " << a[i].step;
      EXPECT_EQ(a[i].tokens, b[i].tokens) << "step " << a[i].step;
      EXPECT_EQ(a[i].gradient_norm, b[i].gradient_norm) << "step " << a[i].step;
      EXPECT_GT(a[i].gradient_norm, 0) << "step " << a[i].step;
    }
  }

  ScratchFolder scratch_;
  fs::path file_ = scratch_ / "deep/training.safetensors";
  Outcome undisturbed_ = run(settings(), "");
};

INSTANTIATE_TEST_SUITE_P(Training, Resuming,
                         testing::Values(TrainingCase{"full", "float32"}, TrainingCase{"lora", "float32"},
                                         TrainingCase{"full", "bfloat16"}, TrainingCase{"full", "float32", "8bit"},
                                         TrainingCase{"full", "bfloat16", "8bit"}, TrainingCase{"full", "bfloat16", "host"},
                                         TrainingCase{"lora", "float32", "float32", true}),
                         [](const auto& info) {
                           return info.param.method + "_" + info.param.dtype + "_" + info.param.states +
                                  (info.param.checkpoints ? "_checkpoints" : "");
                         });

TEST_P(Resuming, EndsInTheSameBits) {
  ASSERT_EQ(undisturbed_.records.size(), 12U);
  for (const std::int64_t step : {2, 5, 8, 12}) {  // the first, inside an epoch, at the end of one, after the last
    fs::remove(file_);
    run(settings(step), file_);
    ASSERT_TRUE(fs::exists(file_));
    const Outcome resumed = run(settings(), file_);
    expect_same(resumed, undisturbed_);
    expect_same_records(resumed.seen, undisturbed_.records);  // a log of the steps is whole
    EXPECT_EQ(resumed.calls, 12 - (step - 1));  // the step that was under way is made again, those before it are not
  }
}

// Long before the next checkpoint would have been written.
TEST_P(Resuming, KeepsEveryStepWhenItIsAskedToStop) {
  Given given = settings(5);
  given.asked = true;
  given.seconds = 1e6;
  EXPECT_TRUE(run(given, file_).stopped);
  const Outcome resumed = run(settings(), file_);
  EXPECT_FALSE(resumed.stopped);
  expect_same(resumed, undisturbed_);
  EXPECT_EQ(resumed.calls, 12 - 5);
}

TEST_P(Resuming, SurvivesBeingStoppedAgainAndAgain) {
  Outcome last;
  for (const std::int64_t step : {3, 4, 9, 0}) last = run(settings(step), file_);
  expect_same(last, undisturbed_);
}

TEST_P(Resuming, IgnoresWhatIsNoCheckpoint) {
  run(settings(6), file_);
  const std::string whole = read_file(file_);
  for (const std::string& torn : {whole.substr(0, whole.size() / 2), whole.substr(0, 5), std::string(), std::string(64, 'x')}) {
    write_file(file_, torn);
    CaptureStderr();
    const Outcome anew = run(settings(), file_);
    EXPECT_THAT(GetCapturedStderr(), HasSubstr("the training checkpoint is damaged, training begins anew: "));
    expect_same(anew, undisturbed_);
    EXPECT_EQ(anew.calls, undisturbed_.calls);
  }
}

TEST_P(Resuming, IgnoresACheckpointWithOtherTensorsThanItSays) {
  run(settings(6), file_);
  {
    auto file = read_safetensors(file_);
    file.tensors.erase("mean 0");
    write_safetensors(file_, file.tensors, file.metadata);
  }
  CaptureStderr();
  const Outcome anew = run(settings(), file_);
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("holds other tensors or streams than it says: training begins anew"));
  expect_same(anew, undisturbed_);
}

TEST_P(Resuming, IgnoresTheCheckpointOfAnotherTraining) {
  run(settings(6), file_);
  const std::string foreign = read_file(file_);
  Given rate = settings(), data = settings(), order = settings(), init = settings(), start = settings();
  rate.options.lr = 1e-3;
  data.data[3].messages.back().content += "!";
  order.order_seed = 50;
  init.init_seed = 60;
  start.start = "another model";
  for (const Given& other : {rate, data, order, init, start}) {
    write_file(file_, foreign);
    CaptureStderr();
    const Outcome anew = run(other, file_);
    EXPECT_THAT(GetCapturedStderr(), HasSubstr("belongs to other weights, rows, options or seeds: training begins anew"));
    expect_same(anew, run(other, ""));
  }
}

TEST_P(Resuming, WritesOnlyAsOftenAsItIsTold) {
  Given rarely = settings();
  rarely.seconds = 3600;
  run(rarely, file_);
  EXPECT_FALSE(fs::exists(file_.parent_path()));
}

TEST_P(Resuming, ClearsWhatAKilledWriterLeft) {
  run(settings(6), file_);
  const std::string machine = process_name().substr(0, process_name().find('-'));
  const fs::path dead = file_.string() + ".tmp" + machine + "-4194305-1", alive = file_.string() + ".tmp000000000000-1-1";
  for (const auto& path : {dead, alive}) write_file(path, "half");
  expect_same(run(settings(), file_), undisturbed_);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive));  // of another machine: who knows
}

}  // namespace
}  // namespace holdfast
