#include "learn/row_stream.h"

#include <ATen/core/Tensor.h>
#include <holdfast/random.h>

#include <algorithm>
#include <numeric>

#include "base/digest.h"

namespace holdfast {
RowStream::RowStream(const LanguageModel& model, EncodedRows rows, const RowStreamOptions& options)
    : model_(model), options_(options) {
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (!teaches(rows.rows[i])) continue;
    rows_.push_back(std::move(rows.rows[i]));
    numbers_.push_back(static_cast<std::int64_t>(i));
  }
}

std::int64_t RowStream::per_epoch() const {
  return (static_cast<std::int64_t>(rows_.size()) + options_.batch_size - 1) / options_.batch_size;
}

std::vector<std::size_t> RowStream::members() {
  if (const std::int64_t epoch = position_ / per_epoch(); epoch != epoch_) {
    epoch_ = epoch;
    order_.resize(rows_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    if (options_.shuffle) Random(derive_seed(options_.seed, "epoch " + std::to_string(epoch))).shuffle(order_);
  }
  const std::size_t begin = position_ % per_epoch() * options_.batch_size;
  const std::size_t end = std::min<std::size_t>(begin + options_.batch_size, order_.size());
  return {order_.begin() + static_cast<std::ptrdiff_t>(begin), order_.begin() + static_cast<std::ptrdiff_t>(end)};
}

// All micro-batches share the whole batch's number of labels, so that their gradients add up to the whole batch's.
Batches RowStream::next() {
  const std::vector<std::size_t> all = members();
  const std::size_t size = options_.micro_batch_size == 0 ? all.size() : options_.micro_batch_size;
  Batches batches;
  double labels = 0;
  for (std::size_t begin = 0; begin < all.size(); begin += size) {
    std::vector<Encoded> examples;
    std::vector<std::int64_t> numbers;
    for (std::size_t i = begin; i < std::min(begin + size, all.size()); ++i) {
      examples.push_back(rows_[all[i]]);
      numbers.push_back(numbers_[all[i]]);
    }
    batches.push_back(model_.pack(examples));
    batches.back().rows = std::move(numbers);
    labels += batches.back().normalizer;
    tokens_ += batches.back().ids.size(0);
  }
  for (auto& batch : batches) batch.normalizer = labels;
  ++position_;
  return batches;
}

std::string RowStream::digest() const {
  Sha256 digest;
  for (const auto& row : rows_) {
    const std::string labels(row.label.begin(), row.label.end());
    const std::uint64_t tokens = row.ids.size();
    digest.update(&tokens, sizeof(tokens));
    digest.update(row.ids.data(), tokens * sizeof(row.ids[0]));
    digest.update(labels.data(), labels.size());
  }
  return digest.hex();
}

}  // namespace holdfast
