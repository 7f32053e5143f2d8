#include "learn/training.h"

#include <holdfast/error.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/stop_point.h"
#include "base/work_progress.h"
#include "learn/one_training.h"
#include "learn/together.h"

namespace holdfast {
namespace {

// The loop over the trainings that are under way; one that is alone is a gang of one.
class Loop {
 public:
  explicit Loop(const std::vector<TrainingTask>& tasks) : tasks_(tasks), running_(tasks.size()), ends_(tasks.size()) {}

  std::vector<TrainingEnd> run() {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      guarded(i, [&] { running_[i] = std::make_unique<OneTraining>(tasks_[i]); });
      if (running_[i]) total_ += running_[i]->total_steps();
    }
    for (auto steppers = unfinished(); !steppers.empty(); steppers = unfinished()) {
      stop_if_asked(steppers);
      step(steppers);
    }
    return std::move(ends_);
  }

 private:
  // What throws an Error ends that training, and no other.
  template <typename Work>
  void guarded(std::size_t i, const Work& work) {
    try {
      work();
    } catch (const Error&) {
      ends_[i].error = std::current_exception();
      leave(i);
    }
  }

  void leave(std::size_t i) {
    if (!running_[i]) return;
    left_tokens_ += running_[i]->trainer().tokens();
    ends_[i].steps = running_[i]->records();
    made_ += static_cast<std::int64_t>(ends_[i].steps.size());
    running_[i].reset();
  }

  // Those with a step to make; the others have left then.
  std::vector<std::size_t> unfinished() {
    std::vector<std::size_t> steppers;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (running_[i] && running_[i]->is_done()) {
        guarded(i, [&] {
          running_[i]->finish();
          leave(i);
        });
      }
      if (running_[i]) steppers.push_back(i);
    }
    return steppers;
  }

  // Each goes on from its checkpoint when it is trained again.
  void stop_if_asked(const std::vector<std::size_t>& steppers) {
    if (!stop_requested()) return;
    for (const auto i : steppers) running_[i]->keep();
    stop_point();
  }

  void step(const std::vector<std::size_t>& steppers) {
    for (const auto i : steppers) running_[i]->begin_step();
    if (steppers.size() == 1) {
      const std::size_t alone = steppers.front();
      guarded(alone, [&] { running_[alone]->end_step(running_[alone]->own_gradients()); });
    } else {
      step_together(steppers);
    }
    tell(steppers);
  }

  void step_together(const std::vector<std::size_t>& steppers) {
    std::vector<JointShare> shares;
    std::vector<std::size_t> owners;
    for (const auto i : steppers) {
      guarded(i, [&] {
        shares.push_back({&running_[i]->model(), &running_[i]->trainer(), running_[i]->trainer().rows().next()});
        owners.push_back(i);
      });
    }
    std::vector<double> losses;
    try {
      losses = joint_gradients(shares);
    } catch (const Error&) {  // by one of them: each alone, so that it is known which
      for (const auto i : owners) running_[i]->trainer().clear_gradients();
    }
    for (std::size_t s = 0; s < shares.size(); ++s) {
      guarded(owners[s], [&] {
        OneTraining& training = *running_[owners[s]];
        training.end_step(losses.empty() ? training.trainer().backward(shares[s].batches, {}) : losses[s]);
      });
    }
  }

  // Of all together.
  void tell(const std::vector<std::size_t>& steppers) const {
    std::int64_t made = made_, tokens = left_tokens_;
    std::optional<double> loss;
    for (const auto i : steppers) {
      if (!running_[i]) continue;
      made += static_cast<std::int64_t>(running_[i]->records().size());
      tokens += running_[i]->trainer().tokens();
      loss = running_[i]->records().back().loss;
    }
    tell_progress({"step", made, total_, tokens, loss});
  }

  const std::vector<TrainingTask>& tasks_;
  std::vector<std::unique_ptr<OneTraining>> running_;
  std::vector<TrainingEnd> ends_;
  std::int64_t total_ = 0;                   // steps of all
  std::int64_t made_ = 0, left_tokens_ = 0;  // of those that left
};

}  // namespace

std::vector<TrainingEnd> train_together(const std::vector<TrainingTask>& tasks) {
  const bool joint = std::all_of(tasks.begin(), tasks.end(), [](const TrainingTask& task) {
    return task.run.members.empty() && task.options.method == "lora";
  });
  HOLDFAST_CHECK(joint || tasks.size() == 1);
  return Loop(tasks).run();
}

std::vector<TrainedStep> train(LanguageModel& model, const Dataset& data, const TrainingOptions& options,
                               const TrainingRun& run) {
  TrainingEnd end = std::move(train_together({{&model, &data, options, run}}).front());
  if (end.error) std::rethrow_exception(end.error);
  return std::move(end.steps);
}

std::string why_untrainable(const std::string& dtype) {
  if (dtype != "float16") return "";
  return "float16 has too narrow a range for gradients without loss scaling, which is not offered: train with dtype "
         "\"bfloat16\" or \"float32\"";
}

}  // namespace holdfast
