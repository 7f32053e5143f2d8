// The ten steps of a cell's pipeline.
#pragma once

#include <array>
#include <string>

namespace holdfast {

/// In the order of the pipeline. What each is called, costs and leaves behind stands in stage_kind.cpp; what it does, in work/.
enum class StageKind { kPretrain, kAlign, kCollect, kScreen, kFinetune, kSubmit, kTamper, kRepair, kGenerate, kJudge };

inline constexpr std::size_t kStageKindCount = 10;

struct StageKindInfo {
  StageKind kind;
  const char* word;  // folder names in the store, keys in results; never changed
  int revision;      // bumped when what a stage of this kind does changes: its stored artifacts then count for nothing
  double seconds;    // of a stage like which none is stored yet, with the organism on one core
  bool droppable;    // whether a disk budget may cost the files; replies and verdicts are what a run was for
};

/// A row a kind, in their order.
const std::array<StageKindInfo, kStageKindCount>& stage_kinds();
const StageKindInfo& about(StageKind kind);

const char* to_string(StageKind kind);
/// The inverse. Throws Error for another word.
StageKind stage_kind(const std::string& word);

}  // namespace holdfast
