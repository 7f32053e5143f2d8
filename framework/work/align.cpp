#include "scenario/data_source.h"
#include "work/stage_work.h"

namespace holdfast {

void align(StageWork& work) {
  const auto defenses = work.defenses();
  std::vector<TrainingMember> members;
  for (const auto& [name, stages] : defenses) members.push_back({name, stages.align});
  work.train(members, load_data(data_source_from_json(work.task().at("alignment"))));
}

}  // namespace holdfast
