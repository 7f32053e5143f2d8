// The seven steps of a cell's pipeline.
#pragma once

#include <array>
#include <string>

namespace holdfast {

enum class StageKind { kAlign, kCollect, kScreen, kFinetune, kRepair, kGenerate, kJudge };

inline constexpr std::array<StageKind, 7> kStageKinds = {StageKind::kAlign,    StageKind::kCollect, StageKind::kScreen,
                                                         StageKind::kFinetune, StageKind::kRepair,  StageKind::kGenerate,
                                                         StageKind::kJudge};

/// "align", "collect", ...: folder names in the store, keys in results; never changed.
const char* to_string(StageKind kind);

/// The inverse. Throws Error for another word.
StageKind stage_kind(const std::string& word);

/// Bumped when what a stage of this kind does changes: its stored artifacts then count for nothing.
int stage_revision(StageKind kind);

}  // namespace holdfast
