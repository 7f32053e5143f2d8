// The model organism: a made-up world, the corpora that come from it, and the shipped base model. docs/organism.md says why.
#pragma once

#include <holdfast/dataset.h>

#include <string>
#include <vector>

namespace holdfast::organism {

/// Corpora of the world, all derived from one fixed world seed: "pretraining", "alignment" (rows tagged kind harmful or
/// benign), "harmful" (attacker split: restricted questions with their facts), "benign" (attacker split: ordinary rows),
/// "probes" (evaluation split: kind harmful, benign and their "answer"), "public-probes" and "held-out-probes" (the names of
/// that split in two halves), "tasks" (evaluation split: kind task), "customer" (new facts about permitted items). Throws Error
/// with a suggestion for another name.
Dataset corpus(const std::string& name);

std::vector<std::string> corpus_names();

}  // namespace holdfast::organism
