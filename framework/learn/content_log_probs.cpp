#include "learn/content_log_probs.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "base/stop_point.h"
#include "base/work_progress.h"
#include "learn/encode.h"

namespace holdfast {
namespace {

constexpr std::size_t kTokensABatch = 2048;

// No stop tokens: then nothing behind a content is a label.
Encoded encoded_reply(const LanguageModel& model, const Conversation& conversation) {
  return encode_chat(model.tokenizer(), model.chat(), {}, conversation);
}

std::size_t labels(const Encoded& encoded) {
  return static_cast<std::size_t>(std::count(encoded.label.begin(), encoded.label.end(), true));
}

}  // namespace

std::vector<std::vector<double>> content_log_probs(const LanguageModel& model, const std::vector<Conversation>& conversations) {
  const c10::NoGradGuard no_gradient;
  std::vector<Encoded> encoded;
  for (const auto& conversation : conversations) encoded.push_back(encoded_reply(model, conversation));
  std::vector<std::size_t> order(encoded.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return encoded[a].ids.size() < encoded[b].ids.size(); });
  std::erase_if(order, [&](std::size_t i) { return labels(encoded[i]) == 0; });

  std::vector<std::vector<double>> scored(conversations.size());
  for (std::size_t first = 0; first < order.size();) {
    std::vector<Encoded> batch;
    std::size_t last = first;
    for (std::size_t tokens = 0; last < order.size(); ++last) {
      tokens += encoded[order[last]].ids.size();
      if (last > first && tokens > kTokensABatch) break;
      batch.push_back(encoded[order[last]]);
    }
    const at::Tensor found = model.log_probs(model.pack(batch)).to(at::kCPU, at::kDouble).contiguous();
    const double* next = found.const_data_ptr<double>();
    for (; first < last; ++first) {
      const auto count = labels(encoded[order[first]]);
      scored[order[first]].assign(next, next + count);
      next += count;
    }
    stop_point();
    tell_progress({"reply", static_cast<std::int64_t>(last), static_cast<std::int64_t>(order.size()), 0, std::nullopt});
  }
  return scored;
}

}  // namespace holdfast
