// What a stage may ask of the run it is part of.
#pragma once

#include <holdfast/asking.h>
#include <holdfast/random.h>
#include <holdfast/trainer.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// Models of other roles that a stage asks its context for. What needs() does not name is never loaded, and is no part of the
/// stage's key.
inline constexpr unsigned kNeedsAligned = 1, kNeedsBase = 2;

/// The report of how many rows of its own a defense takes: a cell's budget, a column of the leaderboard.
inline constexpr const char* kDefenderRows = "defender-rows";

/// Everything here is a function of the scenario, the cell's seed and the stage's inputs, so that a stage repeats exactly.
/// State never travels from one stage to another in memory: derive it from settings and seed.
class Context {
 public:
  virtual ~Context();

  /// The rows the provider aligns with.
  virtual const Dataset& alignment() const = 0;
  /// A corpus of the scenario that one of the plugin's settings names (Params::corpus): "harmful" (what an attacker holds),
  /// "defender-harmful" (what a defender holds, no prompt of it among the attacker's), "benign" (ordinary instruction data).
  /// Throws Error for any other.
  virtual Dataset corpus(const std::string& name) const = 0;
  /// How this model family refuses: what moderation answers in place of a withheld reply.
  virtual std::string refusal() const = 0;
  /// The aligned model before the customer's fine-tuning. Other stages share it, so it can be asked and not changed. Only for
  /// stages whose needs() name kNeedsAligned; loaded when it is first asked for.
  virtual const Model& aligned_model() = 0;
  /// The pre-trained model before any alignment (SafeLoRA, AsFT, LoX): what [align] started from, be it the model's checkpoint
  /// or what a pretrain stage of the stack made in its place; or a [[model]]'s `base`. Only for stages whose needs() name
  /// kNeedsBase; loaded when it is first asked for.
  virtual const Model& base_model() = 0;
  /// A model of the stage's own (a moderation model): a GGUF file or a Hugging Face folder that a `file` setting names, whose
  /// content is then part of the key. Loaded when it is first asked for, on the device of the cell's model. Throws Error for
  /// what is no model.
  virtual const Model& model(const std::filesystem::path& path) = 0;
  /// Asks models behind an endpoint, and a local one, such as model() gives, for its likelihoods.
  virtual Asker& asker() = 0;
  /// The provider's and the customer's training settings, as the scenario states them. A pretrain stage, which stands before
  /// both, gets an Error.
  virtual const TrainingOptions& align_options() const = 0;
  virtual const TrainingOptions& finetune_options() const = 0;

  /// Seed of a named stream of this cell ("data", "order", ...); of the world in a pretrain stage, which all cells share.
  virtual std::uint64_t seed(const std::string& stream) const = 0;
  /// Trains in place, with the plain loss or with steps of one's own. For a RepairStage, and for clones (RESTA's unaligned
  /// model).
  virtual void train(Model& model, const Dataset& data, const TrainingOptions& options,
                     const std::function<double(Trainer&)>& step = {}) = 0;
  /// The LoRA factors that the customer's tuning left, by the names of Model::trainable(). A RepairStage is given a model that
  /// has B A, times lora_alpha / lora_rank, in its weights. Empty where the tuning was full, where there was none, where
  /// another repair came before, and in other stages. SafeMERGE (arXiv 2503.17239).
  virtual std::map<std::string, at::Tensor> tuned_factors() const;
  /// A figure about the stage itself (precision of a filter, rows dropped), kept with its artifact and shown in the results. A
  /// later one of the same name counts, but what is reported as kDefenderRows adds up. A value that is not finite is said and
  /// left out of them.
  virtual void report(const std::string& name, double value, std::int64_t n) = 0;
  /// Numbers that the aligned model and `about` decide alone, and that take long to find (a probe that is fitted on its
  /// states): what `find` gives, or gave to any stage of the same store, kept there. `about` names what it is, a revision of
  /// the code that finds it, and every row and seed that goes into it. Only for stages whose needs() name kNeedsAligned.
  virtual std::vector<double> kept_of_aligned(const std::string& about, const std::function<std::vector<double>()>& find);
};

/// The defender's own data, which every defense takes under one name (`rows`) and counts: `wanted` of the rows, drawn by the
/// cell's seed, or all of them as they stand for 0; reported as "defender-rows". `who` asks for them and `source` has them
/// ("the corpus
/// \"harmful\""), in the Error for more than there are.
Dataset defender_rows(Dataset rows, std::int64_t wanted, const std::string& who, const std::string& source, Context& context);

}  // namespace holdfast
