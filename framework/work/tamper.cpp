#include <holdfast/error.h>

#include "plugin/made_plugin.h"
#include "work/stage_work.h"

namespace holdfast {

void tamper(StageWork& work) {
  const auto attack = made_attack(work.task().at("plugin"), work.folder());
  auto* const tampering = dynamic_cast<WeightAttack*>(attack.get());
  if (tampering == nullptr) throw Error("the attack edited weights when the matrix was planned, and does so no more");
  const auto before = work.whole_parent();
  const auto model = before->share();
  tampering->tamper(*model, work.context());
  work.write_weights(*before, *model);
}

}  // namespace holdfast
