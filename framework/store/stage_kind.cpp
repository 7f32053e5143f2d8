#include "store/stage_kind.h"

#include <holdfast/error.h>

namespace holdfast {

const char* to_string(StageKind kind) {
  static constexpr const char* kWords[] = {"align", "collect", "screen", "finetune", "repair", "generate", "judge"};
  return kWords[static_cast<std::size_t>(kind)];
}

StageKind stage_kind(const std::string& word) {
  for (const StageKind kind : kStageKinds) {
    if (word == to_string(kind)) return kind;
  }
  throw Error("\"" + word + "\" is no stage kind");
}

int stage_revision(StageKind kind) {
  static constexpr int kRevisions[] = {2, 2, 2, 2, 2, 2, 3};
  return kRevisions[static_cast<std::size_t>(kind)];
}

}  // namespace holdfast
