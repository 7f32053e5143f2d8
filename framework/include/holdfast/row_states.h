// Hidden states of whole rows, by which screens and attacks rank what a customer submits.
#pragma once

#include <holdfast/model.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// In place of a layer: the states behind the final norm (Model::hidden).
inline constexpr std::int64_t kFinalNorm = -1;

/// Of each row, in the order of the dataset, at one layer; (B, C) in at least float32, without graph, on the model's device.
/// The row's reply is its last assistant turn, from its first token to its end of turn, learned or not.
struct RowStates {
  at::Tensor last;             // of the last token of the row
  at::Tensor prompt;           // of the token before the reply: the last one of its prompt
  at::Tensor reply;            // mean over the reply's tokens
  std::vector<bool> answered;  // whether there is a reply within max_length; prompt and reply are zeros where there is none
};

/// One for each of `layers`, counted as by Model::states, or kFinalNorm. Rows are cut to max_length tokens (0: whole). One
/// forward over the rows as far as the last of the layers, and another, whole, for kFinalNorm. Throws Error for a layer that
/// the model does not have. LARF, DataShield (arXiv 2606.00160), benign outlier selection (2404.01099).
std::vector<RowStates> row_states(const Model& model, const Dataset& rows, const std::vector<std::int64_t>& layers,
                                  std::int64_t max_length);

/// The settings "layer" and "depth" of a method that reads states at one layer.
class LayerChoice {
 public:
  /// who: the plugin's name, for messages. depth: the share of the blocks below the layer where the scenario names none.
  LayerChoice(Params& params, std::string who, double depth);

  /// That layer of the model, as Model::states counts. Throws Error for one that it does not have.
  std::int64_t of(const Model& model) const;

 private:
  std::string who_;
  std::int64_t layer_;
  double depth_;
};

}  // namespace holdfast
