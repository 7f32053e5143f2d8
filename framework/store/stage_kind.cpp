#include "store/stage_kind.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

constexpr std::array<StageKindInfo, kStageKindCount> kTable = {{
    {StageKind::kPretrain, "pretrain", 1, 300, true},
    {StageKind::kAlign, "align", 2, 12, true},
    {StageKind::kCollect, "collect", 2, 0.05, true},
    {StageKind::kScreen, "screen", 2, 0.2, true},
    {StageKind::kFinetune, "finetune", 2, 1, true},
    {StageKind::kSubmit, "submit", 1, 600, false},
    {StageKind::kTamper, "tamper", 1, 4, true},
    {StageKind::kRepair, "repair", 2, 4, true},
    {StageKind::kGenerate, "generate", 2, 1.5, false},
    {StageKind::kJudge, "judge", 3, 0.05, false},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].kind != static_cast<StageKind>(i)) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

const std::array<StageKindInfo, kStageKindCount>& stage_kinds() { return kTable; }

const StageKindInfo& about(StageKind kind) { return kTable[static_cast<std::size_t>(kind)]; }

const char* to_string(StageKind kind) { return about(kind).word; }

StageKind stage_kind(const std::string& word) {
  for (const auto& info : kTable) {
    if (word == info.word) return info.kind;
  }
  throw Error("\"" + word + "\" is no stage kind");
}

}  // namespace holdfast
