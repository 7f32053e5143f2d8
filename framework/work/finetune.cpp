#include "work/gang.h"

namespace holdfast {
namespace {

// A screen kept nothing, so there is nothing to tune on.
void stay_unchanged(StageWork& work) {
  work.write_unchanged();
  work.manifest().reports["rows"] = {{"value", 0}, {"n", 0}};
}

}  // namespace

void finetune(StageWork& work) {
  const Dataset data = work.input_data();
  if (data.empty()) return stay_unchanged(work);
  const auto defenses = work.defenses();
  std::vector<TrainingMember> members;
  for (const auto& [name, stages] : defenses) members.push_back({name, stages.tune});
  work.train(members, data);
}

void finetune(Gang& gang) {
  std::shared_ptr<const LanguageModel> before;
  std::vector<Dataset> data(gang.size());
  std::vector<std::unique_ptr<LanguageModel>> models(gang.size());
  std::vector<TrainingTask> tasks;
  std::vector<std::size_t> owners;
  for (std::size_t m = 0; m < gang.size(); ++m) {
    StageWork& work = *gang[m].work;
    HOLDFAST_CHECK(work.parent_ref().digest() == gang.front().work->parent_ref().digest());
    guarded(gang[m], [&] {
      data[m] = work.input_data();
      if (data[m].empty()) return stay_unchanged(work);
      if (!before) before = work.whole_parent();
      models[m] = before->share();
      tasks.push_back(work.plain_training(*models[m], data[m]));
      owners.push_back(m);
    });
  }
  const auto ends = tasks.empty() ? std::vector<TrainingEnd>() : train_together(tasks);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    GangMember& member = gang[owners[i]];
    for (const auto& step : ends[i].steps) member.tokens += step.tokens;
    guarded(member, [&] {
      if (ends[i].error) std::rethrow_exception(ends[i].error);
      member.work->trained(ends[i].steps);
      member.work->write_weights(*before, *models[owners[i]]);
    });
  }
}

}  // namespace holdfast
