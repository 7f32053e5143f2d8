#include "plugin/made_plugin.h"
#include "scenario/data_source.h"
#include "work/stage_work.h"

namespace holdfast {

void collect(StageWork& work) {
  if (work.task().contains("rows")) return work.write_data(load_data(data_source_from_json(work.task().at("rows"))));
  const auto attack = made_attack(work.task().at("plugin"), work.folder());
  work.write_data(attack->collect(work.context()));
}

}  // namespace holdfast
