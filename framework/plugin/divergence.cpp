#include <ATen/ATen.h>
#include <holdfast/divergence.h>

namespace holdfast {

Divergence::Divergence(Params& params, const std::string& positions, const std::string& reduction)
    : everywhere_(params.choice("positions", positions, {"answer", "all"},
                                "where the divergence counts: where a label token is predicted, or at every token") == "all"),
      token_mean_(params.choice("reduction", reduction, {"token-mean", "batch-sum"},
                                "mean over those positions of the batch, or their sum divided by its examples") ==
                  "token-mean") {}

Batch Divergence::covered(const Batch& batch) const {
  if (!everywhere_) return batch;
  Batch all = batch;
  const auto examples = static_cast<std::int64_t>(batch.lengths.size());
  all.target_rows = at::arange(batch.ids.size(0), batch.ids.options());
  all.target_example =
      at::arange(examples, batch.ids.options()).repeat_interleave(at::tensor(batch.lengths, at::kLong).to(batch.ids.device()));
  all.target_ids = all.target_place = all.target_weights = at::Tensor();
  return all;
}

double Divergence::divisor(const Batches& batches) const {
  if (token_mean_ && !everywhere_) return batches.front().normalizer;
  double sum = 0;
  for (const auto& batch : batches) {
    sum += static_cast<double>(token_mean_ ? batch.ids.size(0) : static_cast<std::int64_t>(batch.lengths.size()));
  }
  return sum;
}

}  // namespace holdfast
