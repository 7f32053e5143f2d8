// Which ready stages a worker may run together.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace holdfast {

/// Ready stages of equal shape can be one gang; empty: that stage runs alone. Fine-tunings with LoRA and without steps of
/// plugins have one where they start from the same weights, whatever their rows, seeds and options; replies have one where they
/// are those of LoRA fine-tunings of the same weights, by the same options, without serve stages; verdicts have one where they
/// are of the same replies and made by rules, without a model or an endpoint.
/// `weights`: the content digest of the weights that the stage, or for replies the fine-tuning before it, starts from.
std::string gang_shape(const Plan& plan, std::size_t node, const std::string& weights);

/// The node whose weights gang_shape() means: the input that the stage, or for replies the fine-tuning before it, starts from;
/// null where that is the checkpoint itself.
const StageInput* gang_parent(const Plan& plan, std::size_t node);

}  // namespace holdfast
