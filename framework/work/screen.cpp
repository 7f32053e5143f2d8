#include "work/stage_work.h"

namespace holdfast {

void screen(StageWork& work) {
  const DefenseStages stages = work.defense(work.task().at("plugin"));
  work.write_data(stages.screen->screen(work.input_data(), work.context()));
}

}  // namespace holdfast
