#include "plugin/made_plugin.h"
#include "work/stage_work.h"

namespace holdfast {

void collect(StageWork& work) {
  const auto attack = made_attack(work.task().at("plugin"), work.folder());
  work.write_data(attack->collect(work.context()));
}

}  // namespace holdfast
