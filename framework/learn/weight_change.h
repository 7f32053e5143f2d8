// What training did to a model, as small as it can be kept: LoRA factors, a bfloat16 difference from the parent, or weights in
// the place of its own.
#pragma once

#include "base/file.h"
#include "learn/language_model.h"

namespace holdfast {

/// Writes the change from `parent` to `trained` as one safetensors file: the LoRA factors when `trained` carries adapters and
/// nothing else differs, else the difference of each changed tensor rounded to bfloat16 (by at most 2^-8 of each entry, far
/// below one optimizer step).
void write_weight_change(const fs::path& path, const LanguageModel& parent, const LanguageModel& trained);

/// Writes weights that owe nothing to a parent's, as pre-training leaves them: all of them, in float16 as the organism's
/// checkpoint has them, so that the child is the same bits on every parent of its shape.
void write_whole_weights(const fs::path& path, const LanguageModel& trained);

/// Turns the parent into the child in place. The child is defined by this function: the run applies the file it just wrote, so
/// that weights that stayed in memory and weights that came from disk are the same bits.
void apply_weight_change(LanguageModel& parent, const fs::path& path);

/// Puts the factors of a change that is nothing but LoRA factors onto the parent, as adapters: merged they are what
/// apply_weight_change makes of it. False, and the parent as it was, where the change is another.
bool put_adapters(LanguageModel& parent, const fs::path& path);

/// The child of a parent. Where the parent has no adapters and the change is nothing but LoRA factors: the parent's own weights
/// with the factors as adapters, which cost no memory again; else a copy that apply_weight_change turned into the child.
std::unique_ptr<LanguageModel> adapted_child(const LanguageModel& parent, const fs::path& path);

/// How far a child's weights are from its parent's: ||child - parent|| / ||parent|| over all weights together (Frobenius), and
/// how many tensors differ. Weights that owe nothing to the parent's are about the root of 2 away.
struct MovedWeights {
  double share = 0;
  std::int64_t tensors = 0;
};
MovedWeights moved_weights(const LanguageModel& parent, const LanguageModel& child);

/// The LoRA factors in such a file, by the names of Model::trainable(); none where the change is another.
NamedTensors factors_of_change(const fs::path& path);

}  // namespace holdfast
