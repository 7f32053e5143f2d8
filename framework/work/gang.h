// Stages of like shape that a worker runs together. Which are such the run's schedule says (run/gangs.h).
#pragma once

#include <holdfast/error.h>

#include <exception>
#include <memory>
#include <vector>

#include "work/stage_work.h"

namespace holdfast {

struct GangMember {
  std::unique_ptr<StageWork> work;
  std::exception_ptr error;  // that ended it
  std::int64_t tokens = 0;   // worked on by one that failed
};
using Gang = std::vector<GangMember>;

/// Calls `work`, unless the member failed before. An Error or a damaged artifact ends the member, and no other; anything else
/// is thrown, for nobody knows whose it is.
template <typename Work>
void guarded(GangMember& member, const Work& work) {
  if (member.error) return;
  try {
    work();
  } catch (const Error&) {
    member.error = std::current_exception();
  } catch (const CorruptArtifact&) {
    member.error = std::current_exception();
  }
}

/// Plain trainings with LoRA on one parent (learn/training.h, train_together).
void finetune(Gang& gang);
/// Replies of fine-tunings of one parent to their probes, without serve stages.
void generate(Gang& gang);
/// Verdicts on the same replies.
void judge(Gang& gang);

/// Each member's part of what all cost together, by its tokens (all the same where nobody counts any): the parts of a figure
/// add up to it exactly where it is a whole number. Peaks are not divided: each member has that of all.
std::vector<Json> divided(const Json& cost, const std::vector<std::int64_t>& tokens);

}  // namespace holdfast
