#include "organism/pretraining.h"
#include "organism/world.h"
#include "scenario/data_source.h"
#include "work/stage_work.h"

namespace holdfast {

// As the shipped base was made, but for what the members do.
void pretrain(StageWork& work) {
  const auto defenses = work.defenses();
  std::vector<TrainingMember> members;
  for (const auto& [name, stages] : defenses) members.push_back({name, stages.pretrain});
  LanguageModel model = organism::newborn();
  TrainingRun run;
  run.order_seed = organism::kWorldSeed;
  work.train(model, members, load_data(data_source_from_json(work.task().at("pretraining"))), run);
  work.write_whole_weights(model);
}

}  // namespace holdfast
