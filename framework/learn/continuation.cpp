#include "learn/continuation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "learn/encode.h"

namespace holdfast {
namespace {

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

std::vector<ForkLogProbs> forward(const LanguageModel& model, const std::vector<Fork>& forks) {
  std::vector<Encoded> examples;
  std::vector<std::int64_t> others;
  for (const auto& fork : forks) {
    Encoded example{fork.common, std::vector<bool>(fork.common.size(), false)};
    example.ids.push_back(fork.first);
    example.label.push_back(true);
    examples.push_back(std::move(example));
    others.push_back(fork.second);
  }
  Batch batch = model.pack(examples);
  // The same states predict both tokens.
  batch.target_rows = at::cat({batch.target_rows, batch.target_rows});
  batch.target_ids = at::cat({batch.target_ids, at::tensor(others, at::kLong).to(batch.target_ids.device())});
  const auto values = values_of(model.log_probs(batch));
  std::vector<ForkLogProbs> out;
  for (std::size_t i = 0; i < forks.size(); ++i) out.push_back({values[i], values[forks.size() + i]});
  return out;
}

}  // namespace

Encoded begun_reply(const LanguageModel& model, const Conversation& prompt, const std::string& opening) {
  Conversation conversation = prompt;
  conversation.push_back({"assistant", opening});
  EncodedReplies encoded = encode_replies(model.tokenizer(), model.chat(), model.stop_tokens(), conversation);
  const std::size_t begin = std::max<std::size_t>(1, encoded.replies.back().begin), end = encoded.replies.back().content;
  if (begin >= end) {
    throw Error("the chat template leaves nothing of a reply that begins with " + canonical(opening));
  }
  Encoded out{std::move(encoded.ids), std::vector<bool>(end, false)};
  out.ids.resize(end);
  std::fill(out.label.begin() + static_cast<std::ptrdiff_t>(begin), out.label.end(), true);
  return out;
}

std::vector<double> mean_log_probs(const LanguageModel& model, const Conversation& prompt,
                                   const std::vector<std::string>& openings) {
  const c10::NoGradGuard no_grad;
  std::vector<Encoded> begun;
  for (const auto& opening : openings) begun.push_back(begun_reply(model, prompt, opening));
  const auto values = values_of(model.log_probs(model.pack(begun)));
  std::vector<double> means;
  auto value = values.begin();
  for (const auto& reply : begun) {
    const auto tokens = std::count(reply.label.begin(), reply.label.end(), true);
    means.push_back(std::accumulate(value, value + tokens, 0.0) / static_cast<double>(tokens));
    value += tokens;
  }
  return means;
}

Fork fork_of(const std::vector<std::int64_t>& first, const std::vector<std::int64_t>& second) {
  const auto shorter = static_cast<std::ptrdiff_t>(std::min(first.size(), second.size()));
  const auto parting = std::mismatch(first.begin(), first.begin() + shorter, second.begin()).first - first.begin();
  if (parting == 0 || parting == shorter) {
    throw Error("the model's tokenizer does not tell the two answers of the judge apart");
  }
  return {{first.begin(), first.begin() + parting}, first[parting], second[parting]};
}

std::vector<ForkLogProbs> fork_log_probs(const LanguageModel& model, const std::vector<Fork>& forks) {
  const c10::NoGradGuard no_grad;
  std::vector<ForkLogProbs> out;
  std::vector<Fork> pending;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < forks.size(); ++i) {
    pending.push_back(forks[i]);
    tokens += forks[i].common.size();
    if (tokens < kForwardTokens && i + 1 < forks.size()) continue;
    for (const auto& each : forward(model, pending)) out.push_back(each);
    pending.clear();
    tokens = 0;
  }
  return out;
}

}  // namespace holdfast
