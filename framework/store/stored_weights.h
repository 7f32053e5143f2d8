// Weights that lie in a store, by the name of the stage that left them: their chain is rebuilt from manifests alone.
#pragma once

#include <string>

#include "store/store.h"
#include "store/weights_ref.h"

namespace holdfast {

/// Whether a user who writes this can only mean a stage: "KIND/KEY" or KEY, whole or its first eight digits or more.
bool names_stage(const std::string& text);

/// The artifact that such a name stands for. Throws Error when the store has none or several of that name.
Manifest stored_stage(const Store& store, const std::string& name);

/// The weights that a stage left, as what changed on the way from its checkpoint: `base` is that one's digest, and the source
/// is for the caller to fill in, since manifests know no paths. A stage that changed nothing is no link. Throws Error for a
/// stage that leaves no weights, and when a link or its files are not there: with what to do to have them again.
WeightsRef stored_weights(const Store& store, const Manifest& stage);

/// How to have a stored stage's files again: they were dropped for the disk budget, or are damaged.
std::string how_to_make_again(const Store& store, StageKind kind, const std::string& key);

}  // namespace holdfast
