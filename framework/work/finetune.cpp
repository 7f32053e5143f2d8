#include "work/stage_work.h"

namespace holdfast {

void finetune(StageWork& work) {
  const Dataset data = work.input_data();
  if (data.empty()) {  // a screen kept nothing, so there is nothing to tune on
    work.write_unchanged();
    work.manifest().reports["rows"] = {{"value", 0}, {"n", 0}};
    return;
  }
  const auto defenses = work.defenses();
  std::vector<TrainingMember> members;
  for (const auto& [name, stages] : defenses) members.push_back({name, stages.tune});
  work.train(members, data);
}

}  // namespace holdfast
