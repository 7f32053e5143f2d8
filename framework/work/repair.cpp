#include "work/stage_work.h"

namespace holdfast {

void repair(StageWork& work) {
  const DefenseStages stages = work.defense(work.task().at("plugin"));
  const auto before = work.whole_parent();
  const auto model = before->share();
  stages.repair->repair(*model, work.context());
  work.write_weights(*before, *model);
}

}  // namespace holdfast
