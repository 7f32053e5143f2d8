#include "learn/training_options.h"

namespace holdfast {

const OptionTable<TrainingOptions>& training_options() {
  using T = TrainingOptions;
  using Row = Option<T>;
  static const OptionTable<T> table = {
      Row("method", &T::method, "all weights, or LoRA's").among({"full", "lora"}),
      Row("lr", &T::lr, "peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8)"),
      Row("epochs", &T::epochs, "passes over the rows").within(1),
      Row("batch_size", &T::batch_size, "examples an optimizer step").within(1),
      Row("micro_batch_size", &T::micro_batch_size, "examples a forward; 0: the whole batch"),
      Row("max_length", &T::max_length, "tokens; longer examples are cut, and counted").within(2),
      Row("schedule", &T::schedule, "course of the learning rate; step: times step_gamma after each epoch")
          .among({"constant", "linear", "cosine", "step"}),
      Row("step_gamma", &T::step_gamma, "factor of the step schedule").within(0, 1),
      Row("warmup_steps", &T::warmup_steps, "steps in which the learning rate rises to its peak"),
      Row("weight_decay", &T::weight_decay, "decoupled, of AdamW"),
      Row("clip_norm", &T::clip_norm, "global gradient norm; 0: no clipping"),
      Row("shuffle", &T::shuffle, "another order of rows in each epoch"),
      Row("lora_rank", &T::lora_rank, "rank of LoRA's factors").within(1),
      Row("lora_alpha", &T::lora_alpha, "the product of LoRA's factors is scaled by alpha / rank"),
      Row("lora_targets", &T::lora_targets, "linears that LoRA adapts; empty: every one of every block"),
      Row("activation_checkpoints", &T::activation_checkpoints,
          "blocks keep their input only and run again in the backward pass: less memory, more time, the same bits")
          .only_if_set(),
      Row("optimizer_states", &T::optimizer_states,
          "AdamW's moments: beside the weights, in blocks of 8 bit numbers, or in the host's memory with 16-bit weights' "
          "masters")
          .among({"float32", "8bit", "host"})
          .only_if_set(),
  };
  return table;
}

Json to_json(const TrainingOptions& options) { return to_json(training_options(), options); }

TrainingOptions training_options_from_json(const Json& json) { return from_json(training_options(), json); }

const OptionTable<GenerateOptions>& generate_options() {
  using G = GenerateOptions;
  using Row = Option<G>;
  static const OptionTable<G> table = {
      Row("max_new_tokens", &G::max_new_tokens, "tokens of the longest reply").within(1),
      Row("batch_size", &G::batch_size, "prompts answered at a time").within(1),
      Row("temperature", &G::temperature, "of sampling; 0: greedy"),
      Row("top_p", &G::top_p, "the likeliest tokens of that probability are sampled").within(0, 1),
  };
  return table;
}

Json to_json(const GenerateOptions& options) { return to_json(generate_options(), options); }

GenerateOptions generate_options_from_json(const Json& json) { return from_json(generate_options(), json); }

}  // namespace holdfast
