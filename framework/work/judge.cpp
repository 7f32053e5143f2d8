#include "judge/judge.h"

#include "base/digest.h"
#include "judge/tasks.h"
#include "results/generations.h"
#include "results/verdicts.h"
#include "work/stage_work.h"
#include "work/task_probes.h"

namespace holdfast {
namespace {

// The models of a judge stage, from the worker's cache.
class StageJudgeContext final : public JudgeContext {
 public:
  explicit StageJudgeContext(StageWork& work) : work_(work) {}
  const LanguageModel& aligned_model() override { return hold(aligned_, work_.request().weights.at("aligned")); }
  const LanguageModel& served_model() override { return hold(served_, work_.parent_ref()); }
  const LanguageModel& judge_model() override { return hold(judge_, weights_ref_from_json(work_.task().at("judge_model"))); }

 private:
  const LanguageModel& hold(std::shared_ptr<const LanguageModel>& model, const WeightsRef& weights) {
    if (!model) model = work_.weights(weights);
    return *model;
  }

  StageWork& work_;
  std::shared_ptr<const LanguageModel> aligned_, served_, judge_;
};

void write_verdicts(StageWork& work, const std::string& judge, const std::vector<std::string>& ids,
                    const std::vector<Verdict>& verdicts) {
  const std::string text = verdicts_text(judge, ids, verdicts);
  write_file(work.made(kVerdictsFile), text);
  work.manifest().digest = sha256(text);
}

// Utility tasks on the weights alone.
void measure(StageWork& work) {
  const Dataset rows = task_probes(work.task(), "tasks").measured;
  std::vector<std::string> ids;
  for (const auto& row : rows) ids.push_back(row.tags.at("id"));
  write_verdicts(work, "tasks", ids, measure_tasks(rows, *work.parent()));
}

}  // namespace

void judge(StageWork& work) {
  if (work.task().contains("tasks")) return measure(work);
  std::vector<std::string> ids;
  std::vector<JudgedReply> replies;
  for (const auto& each : read_generations(work.input("generations", kGenerationsFile))) {
    ids.push_back(each.id);
    replies.push_back({each.id, each.probe, each.reply, each.tags, each.prompt, each.cut});
  }
  StageJudgeContext models(work);
  const auto made = made_judge(work.task().at("judge"), work.folder());
  write_verdicts(work, work.task().at("judge").at("name"), ids, made->score(replies, models));
}

}  // namespace holdfast
