#include "learn/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <numeric>

#include "base/work_progress.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// Fewer shared tokens than this are not worth a forward of their own.
constexpr std::size_t kWorthSharing = 8;

std::size_t common_prefix(const std::vector<Ids>& prompts) {
  const Ids& first = prompts.front();
  std::size_t length = first.size();
  for (const auto& prompt : prompts) {
    const auto end = prompt.begin() + std::min(length, prompt.size());
    length = std::mismatch(prompt.begin(), end, first.begin()).first - prompt.begin();
    length = std::min(length, prompt.size() - 1);  // each prompt keeps a token of its own to start from
  }
  return length >= kWorthSharing ? length : 0;
}

at::Tensor to_tensor(const Ids& ids, at::Device device) { return at::tensor(ids, at::kLong).to(device); }

// Draws from the smallest set of tokens whose probability reaches top_p (Holtzman et al. 2020, arXiv 1904.09751).
std::int64_t sample(const at::Tensor& logits, const GenerateOptions& options, Random& random) {
  const auto [sorted, order] = at::softmax(logits / options.temperature, -1).sort(-1, /*descending=*/true);
  const auto* probability = sorted.data_ptr<double>();
  std::int64_t kept = 0;
  double mass = 0;
  while (kept < sorted.size(0) && (kept == 0 || mass < options.top_p)) mass += probability[kept++];
  double left = random.uniform() * mass;
  std::int64_t choice = 0;
  while (choice + 1 < kept && left >= probability[choice]) left -= probability[choice++];
  return order[choice].item<std::int64_t>();
}

// The next token of each row of logits (B, V).
Ids choose(const at::Tensor& logits, const GenerateOptions& options, std::vector<Random*> randoms) {
  Ids chosen;
  if (options.temperature == 0) {
    const at::Tensor best = logits.argmax(-1).cpu();
    chosen.assign(best.data_ptr<std::int64_t>(), best.data_ptr<std::int64_t>() + best.numel());
    return chosen;
  }
  const at::Tensor rows = logits.to(at::kCPU, at::kDouble);
  for (std::size_t b = 0; b < randoms.size(); ++b) {
    chosen.push_back(sample(rows[static_cast<std::int64_t>(b)], options, *randoms[b]));
  }
  return chosen;
}

// One batch on its way. Row b of the cache belongs to prompt active[b].
class BatchRun {
 public:
  BatchRun(const Decoder& decoder, const std::vector<Ids>& prompts, const Ids& stop_tokens, const GenerateOptions& options,
           const DecodingRules& rules)
      : decoder_(decoder), prompts_(prompts), stop_tokens_(stop_tokens), options_(options), rules_(rules) {}

  /// `done` replies are finished; `tokens` counts the new ones of all batches.
  void run(const std::vector<std::size_t>& members, const KvCache& prefix, std::int64_t done, std::int64_t& tokens,
           std::vector<Ids>& replies) {
    active_ = members;
    for (const auto member : members) randoms_.emplace_back(derive_seed(options_.seed, "prompt " + std::to_string(member)));
    stream_.resize(members.size());
    std::iota(stream_.begin(), stream_.end(), std::size_t{0});
    at::Tensor hidden = prefill(prefix);
    for (std::int64_t n = 0; n < options_.max_new_tokens && !active_.empty(); ++n) {
      if (n > 0) hidden = decoder_.forward(to_tensor(last_, decoder_.device()), Ids(active_.size(), 1), &cache_);
      std::vector<Random*> randoms;
      for (const auto stream : stream_) randoms.push_back(&randoms_[stream]);
      const at::Tensor logits = decoder_.logits(hidden);
      last_ = choose(rules_.none() ? logits : under_rules(logits, replies), options_, std::move(randoms));
      tokens += static_cast<std::int64_t>(active_.size());
      keep_unfinished(replies);
      tell_progress({"reply", done + static_cast<std::int64_t>(members.size() - active_.size()),
                     static_cast<std::int64_t>(prompts_.size()), tokens, std::nullopt});
    }
  }

 private:
  // Copies the shared prefix to every row, runs the rest of the prompts, and returns each prompt's last hidden state.
  at::Tensor prefill(const KvCache& prefix) {
    const std::int64_t shared = prefix.lengths.empty() ? 0 : prefix.lengths[0];
    std::int64_t longest = 0;
    Ids ids, lengths, last_rows;
    for (const auto member : active_) {
      const Ids& prompt = prompts_[member];
      longest = std::max<std::int64_t>(longest, static_cast<std::int64_t>(prompt.size()));
      ids.insert(ids.end(), prompt.begin() + shared, prompt.end());
      lengths.push_back(static_cast<std::int64_t>(prompt.size()) - shared);
      last_rows.push_back(static_cast<std::int64_t>(ids.size()) - 1);
    }
    cache_ = decoder_.new_cache(static_cast<std::int64_t>(active_.size()), longest + options_.max_new_tokens);
    for (std::size_t layer = 0; layer < prefix.keys.size(); ++layer) {
      cache_.keys[layer].narrow(2, 0, shared).copy_(prefix.keys[layer].narrow(2, 0, shared));
      cache_.values[layer].narrow(2, 0, shared).copy_(prefix.values[layer].narrow(2, 0, shared));
    }
    cache_.lengths.assign(active_.size(), shared);
    const at::Tensor hidden = decoder_.forward(to_tensor(ids, decoder_.device()), lengths, &cache_);
    return hidden.index_select(0, to_tensor(last_rows, decoder_.device()));
  }

  // Logits (B, V) of the active prompts' next tokens.
  at::Tensor under_rules(const at::Tensor& logits, const std::vector<Ids>& replies) const {
    std::vector<at::Tensor> rows;
    for (std::size_t b = 0; b < active_.size(); ++b) {
      const Ids& reply = replies[active_[b]];
      Ids history = prompts_[active_[b]];
      history.insert(history.end(), reply.begin(), reply.end());
      rows.push_back(
          ruled(logits[static_cast<std::int64_t>(b)], rules_, history, static_cast<std::int64_t>(reply.size()), stop_tokens_));
    }
    return at::stack(rows);
  }

  void keep_unfinished(std::vector<Ids>& replies) {
    std::vector<std::int64_t> rows;
    for (std::size_t b = 0; b < active_.size(); ++b) {
      if (std::count(stop_tokens_.begin(), stop_tokens_.end(), last_[b]) > 0) continue;
      replies[active_[b]].push_back(last_[b]);
      rows.push_back(static_cast<std::int64_t>(b));
    }
    if (rows.size() == active_.size()) return;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      active_[i] = active_[rows[i]];
      stream_[i] = stream_[rows[i]];
      last_[i] = last_[rows[i]];
    }
    active_.resize(rows.size());
    stream_.resize(rows.size());
    last_.resize(rows.size());
    if (!rows.empty()) cache_.select(rows);
  }

  const Decoder& decoder_;
  const std::vector<Ids>& prompts_;
  const Ids& stop_tokens_;
  const GenerateOptions& options_;
  const DecodingRules& rules_;
  std::vector<std::size_t> active_;
  std::vector<std::size_t> stream_;  // which of randoms_ belongs to each row
  std::vector<Random> randoms_;
  Ids last_;
  KvCache cache_;
};

}  // namespace

std::vector<Ids> generate(const Decoder& decoder, const std::vector<Ids>& prompts, const Ids& stop_tokens,
                          const GenerateOptions& options, const DecodingRules& rules) {
  const c10::NoGradGuard no_grad;
  std::vector<Ids> replies(prompts.size());
  if (prompts.empty()) return replies;
  for (const auto& prompt : prompts) HOLDFAST_CHECK(!prompt.empty());

  KvCache prefix;
  if (const std::size_t shared = common_prefix(prompts); shared > 0) {
    const auto length = static_cast<std::int64_t>(shared);
    prefix = decoder.new_cache(1, length);
    const Ids ids(prompts.front().begin(), prompts.front().begin() + length);
    decoder.forward(to_tensor(ids, decoder.device()), {length}, &prefix);
  }
  std::vector<std::size_t> order(prompts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return prompts[a].size() < prompts[b].size(); });
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  std::int64_t tokens = 0;
  for (std::size_t begin = 0; begin < order.size(); begin += batch_size) {
    const std::vector<std::size_t> members(order.begin() + begin, order.begin() + std::min(begin + batch_size, order.size()));
    BatchRun(decoder, prompts, stop_tokens, options, rules)
        .run(members, prefix, static_cast<std::int64_t>(begin), tokens, replies);
  }
  return replies;
}

}  // namespace holdfast
