// A dataset as optimizer batches without end.
#pragma once

#include <holdfast/trainer.h>

#include "learn/encoded_rows.h"
#include "learn/language_model.h"

namespace holdfast {

struct RowStreamOptions {
  std::int64_t batch_size = 1;
  std::int64_t micro_batch_size = 0;  // 0: the whole batch
  bool shuffle = true;
  std::uint64_t seed = 0;  // of the orders
};

/// Epochs over the rows that teach something; the last batch of one may be short. The order is a function of seed and epoch.
class RowStream final : public Stream {
 public:
  RowStream(const LanguageModel& model, EncodedRows rows, const RowStreamOptions& options);

  Batches next() override;
  std::int64_t position() const override { return position_; }
  std::int64_t per_epoch() const override;

  /// Goes on as if so many batches had been taken.
  void seek(std::int64_t position) { position_ = position; }
  /// Of all batches taken by this object.
  std::int64_t tokens() const { return tokens_; }
  /// Of the rows, their tokens and labels.
  std::string digest() const;

 private:
  std::vector<std::size_t> members();

  const LanguageModel& model_;
  std::vector<Encoded> rows_;
  std::vector<std::int64_t> numbers_;  // of each in the dataset
  RowStreamOptions options_;
  std::int64_t position_ = 0;
  std::int64_t tokens_ = 0;
  std::vector<std::size_t> order_;  // of `epoch_`
  std::int64_t epoch_ = -1;
};

}  // namespace holdfast
