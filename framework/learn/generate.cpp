#include "learn/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <numeric>

#include "base/stop_point.h"
#include "base/work_progress.h"
#include "learn/nucleus.h"
#include "model/fused/greatest.h"
#include "model/fused/once.h"
#include "model/packed_weights.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// Fewer shared tokens than this are not worth a forward of their own.
constexpr std::size_t kWorthOwnForward = 8;

// What the cache of several decoders' rows may take.
constexpr std::int64_t kCacheBytes = 1LL << 30, kDeviceCacheBytes = 8LL << 30;

// A prompt, and which of the decoders it is for.
struct Question {
  const Ids* prompt;
  std::size_t member, place;  // the place among the member's prompts
  const GenerateOptions* options;
  std::uint64_t seed;
};

std::vector<Question> questions_of(const std::vector<Asked>& together) {
  std::vector<Question> questions;
  for (std::size_t member = 0; member < together.size(); ++member) {
    const auto& [decoder, prompts, options] = together[member];
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      HOLDFAST_CHECK(!prompts[i].empty());
      questions.push_back({&prompts[i], member, i, &options, derive_seed(options.seed, "prompt " + std::to_string(i))});
    }
  }
  return questions;
}

std::size_t common_prefix(const std::vector<Question>& questions) {
  const Ids& first = *questions.front().prompt;
  std::size_t length = first.size();
  for (const auto& question : questions) {
    const Ids& prompt = *question.prompt;
    const auto end = prompt.begin() + std::min(length, prompt.size());
    length = std::mismatch(prompt.begin(), end, first.begin()).first - prompt.begin();
    length = std::min(length, prompt.size() - 1);  // each prompt keeps a token of its own to start from
  }
  return length >= kWorthOwnForward ? length : 0;
}

at::Tensor to_tensor(const Ids& ids, at::Device device) { return at::tensor(ids, at::kLong).to(device); }

// Tokens of the longest row of the cache.
std::int64_t capacity_for(const std::vector<Question>& questions) {
  std::int64_t most = 0;
  for (const auto& question : questions) {
    most = std::max(most, static_cast<std::int64_t>(question.prompt->size()) + question.options->max_new_tokens);
  }
  return most;
}

// Rows under way at once: so many for each decoder as the options say, as far as their cache stays within that memory; for one
// decoder always.
std::int64_t rows_under_way(const std::vector<Asked>& together, std::int64_t capacity) {
  const Decoder& decoder = *together.front().decoder;
  const ModelConfig& config = decoder.config();
  std::int64_t least = 1, all = 0;
  for (const auto& asked : together) {
    least = std::max(least, asked.options.batch_size);
    all += asked.options.batch_size;
  }
  const std::int64_t row = 2 * config.layers * config.kv_heads * config.head_width * capacity *
                           static_cast<std::int64_t>(c10::elementSize(decoder.dtype()));
  const std::int64_t most = decoder.device().is_cpu() ? kCacheBytes : kDeviceCacheBytes;
  return std::clamp(most / row, least, all);
}

// Prompts on their way: row b of the cache belongs to the b-th of those under way. A row whose reply has ended is taken by the
// next prompt.
class ReplyStream {
 public:
  ReplyStream(const std::vector<Asked>& together, const std::vector<Question>& questions, const Ids& stop_tokens,
              const DecodingRules& rules, ReplyListener* listener)
      : together_(together),
        decoder_(*together.front().decoder),
        questions_(questions),
        stop_tokens_(stop_tokens),
        rules_(rules),
        listener_(listener),
        replies_(questions.size()) {
    waiting_.resize(questions.size());
    std::iota(waiting_.begin(), waiting_.end(), std::size_t{0});
    // Longest first: those that are left at the end are short.
    std::stable_sort(waiting_.begin(), waiting_.end(),
                     [&](auto a, auto b) { return questions[a].prompt->size() > questions[b].prompt->size(); });
    const std::int64_t capacity = capacity_for(questions), all = static_cast<std::int64_t>(questions.size());
    prefixes_ = begun();
    cache_ = decoder_.new_cache(std::min(all, rows_under_way(together, capacity)), capacity);
  }

  std::vector<Ids> run() {
    while (next_ < waiting_.size() || !under_way_.empty()) {
      while (next_ < waiting_.size() && under_way_.size() < cache_.lengths.size()) admit();
      if (under_way_.empty()) break;
      Ids last;
      for (const auto& each : under_way_) last.push_back(replies_[each.question].back());
      const Ids ones(last.size(), 1);
      go_on(0, decoder_.forward(to_tensor(last, decoder_.device()), ones, &cache_, 0, spans(0, ones)));
    }
    return std::move(replies_);
  }

 private:
  struct UnderWay {
    std::size_t question;
    Random random;
  };

  const Adapters* adapters_of(std::size_t question) const {
    return &together_[questions_[question].member].decoder->adapters();
  }

  // Whose adapters the tokens of those under way from `first` on go through, so many of each.
  Spans spans(std::size_t first, const Ids& lengths) const {
    std::vector<Run> runs;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      runs.push_back({lengths[i], adapters_of(under_way_[first + i].question)});
    }
    return spans_of(runs, decoder_.device());
  }

  // The tokens that all prompts begin with, as a cache of one row for each decoder; without rows where they are not worth it.
  KvCache begun() const {
    KvCache prefixes;
    const auto length = static_cast<std::int64_t>(common_prefix(questions_));
    if (length == 0) return prefixes;
    prefixes = decoder_.new_cache(static_cast<std::int64_t>(together_.size()), length);
    Ids ids;
    std::vector<Run> runs;
    for (const auto& asked : together_) {
      ids.insert(ids.end(), questions_.front().prompt->begin(), questions_.front().prompt->begin() + length);
      runs.push_back({length, &asked.decoder->adapters()});
    }
    decoder_.forward(to_tensor(ids, decoder_.device()), Ids(together_.size(), length), &prefixes, 0,
                     spans_of(runs, decoder_.device()));
    return prefixes;
  }

  // Takes prompts into all free rows and chooses their first tokens.
  void admit() {
    const std::size_t first = under_way_.size();
    const std::int64_t shared = prefixes_.lengths.empty() ? 0 : prefixes_.lengths.front();
    Ids ids, lengths, last_rows;
    for (; under_way_.size() < cache_.lengths.size() && next_ < waiting_.size(); ++next_) {
      const Question& question = questions_[waiting_[next_]];
      const Ids& whole = *question.prompt;
      cache_.lengths[under_way_.size()] = 0;
      if (shared > 0) cache_.begin_with(prefixes_, question.member, under_way_.size());
      under_way_.push_back({waiting_[next_], Random(question.seed)});
      ids.insert(ids.end(), whole.begin() + shared, whole.end());
      lengths.push_back(static_cast<std::int64_t>(whole.size()) - shared);
      last_rows.push_back(static_cast<std::int64_t>(ids.size()) - 1);
    }
    const at::Tensor hidden = decoder_.forward(to_tensor(ids, decoder_.device()), lengths, &cache_,
                                               static_cast<std::int64_t>(first), spans(first, lengths));
    go_on(first, hidden.index_select(0, to_tensor(last_rows, decoder_.device())));
  }

  // One more token for each from `first` on, from the hidden states (B, C) that predict it; who has ended leaves.
  void go_on(std::size_t first, const at::Tensor& hidden) {
    const at::Tensor logits = decoder_.logits(hidden);
    const Ids chosen = choose(rules_.none() ? logits : under_rules(logits, first), first);
    tokens_ += static_cast<std::int64_t>(chosen.size());
    for (std::size_t i = chosen.size(); i-- > 0;) {  // from behind, since the last one takes the place of one that leaves
      const std::size_t row = first + i;
      const Question& question = questions_[under_way_[row].question];
      Ids& reply = replies_[under_way_[row].question];
      const bool stopped = std::count(stop_tokens_.begin(), stop_tokens_.end(), chosen[i]) > 0;
      if (!stopped) reply.push_back(chosen[i]);
      bool ended = stopped || static_cast<std::int64_t>(reply.size()) == question.options->max_new_tokens;
      if (listener_ != nullptr && !listener_->grown(question.member, question.place, reply, ended)) ended = true;
      if (ended) leave(row);
    }
    stop_point();
    tell_progress({"reply", ended_, static_cast<std::int64_t>(questions_.size()), tokens_, std::nullopt});
  }

  void leave(std::size_t row) {
    const std::size_t last = under_way_.size() - 1;
    if (row != last) {
      cache_.move(static_cast<std::int64_t>(last), static_cast<std::int64_t>(row));
      under_way_[row] = under_way_[last];
    }
    under_way_.pop_back();
    ++ended_;
  }

  const GenerateOptions& options_of(std::size_t row) const { return *questions_[under_way_[row].question].options; }

  // The next token of each row of logits (B, V), of those under way from `first` on.
  Ids choose(const at::Tensor& logits, std::size_t first) {
    Ids chosen(static_cast<std::size_t>(logits.size(0))), left(chosen.size());
    std::iota(left.begin(), left.end(), std::int64_t{0});
    while (!left.empty()) {  // rows that are sampled alike at a time
      const GenerateOptions& options = options_of(first + static_cast<std::size_t>(left.front()));
      const auto others = std::stable_partition(left.begin(), left.end(), [&](std::int64_t row) {
        const GenerateOptions& own = options_of(first + static_cast<std::size_t>(row));
        return own.temperature == options.temperature && own.top_p == options.top_p;
      });
      const Ids alike(left.begin(), others);
      left.erase(left.begin(), others);
      const bool all = alike.size() == chosen.size();
      const Ids tokens =
          choose(all ? logits : logits.index_select(0, to_tensor(alike, logits.device())), first, alike, options);
      for (std::size_t i = 0; i < alike.size(); ++i) chosen[static_cast<std::size_t>(alike[i])] = tokens[i];
    }
    return chosen;
  }

  Ids choose(const at::Tensor& logits, std::size_t first, const Ids& rows, const GenerateOptions& options) {
    if (options.temperature == 0) {
      const at::Tensor best = fused::serves(logits) ? fused::greatest_places(logits) : logits.argmax(-1).cpu();
      return {best.const_data_ptr<std::int64_t>(), best.const_data_ptr<std::int64_t>() + best.numel()};
    }
    std::vector<double> draws;
    for (const std::int64_t row : rows) draws.push_back(under_way_[first + static_cast<std::size_t>(row)].random.uniform());
    return nucleus_tokens(logits, options.temperature, options.top_p, draws);
  }

  // The same logits under the checkpoint's rules.
  at::Tensor under_rules(const at::Tensor& logits, std::size_t first) const {
    std::vector<at::Tensor> rows;
    for (std::int64_t b = 0; b < logits.size(0); ++b) {
      const std::size_t question = under_way_[first + static_cast<std::size_t>(b)].question;
      const Ids& reply = replies_[question];
      Ids history = *questions_[question].prompt;
      history.insert(history.end(), reply.begin(), reply.end());
      rows.push_back(ruled(logits[b], rules_, history, static_cast<std::int64_t>(reply.size()), stop_tokens_));
    }
    return at::stack(rows);
  }

  const std::vector<Asked>& together_;
  const Decoder& decoder_;  // the first: all have its weights
  const std::vector<Question>& questions_;
  const Ids& stop_tokens_;
  const DecodingRules& rules_;
  ReplyListener* listener_;
  std::vector<Ids> replies_;
  std::vector<std::size_t> waiting_;  // questions, in the order in which they are taken; those from next_ on wait
  std::size_t next_ = 0;
  std::vector<UnderWay> under_way_;
  KvCache prefixes_, cache_;
  std::int64_t ended_ = 0, tokens_ = 0;
};

}  // namespace

std::vector<std::vector<Ids>> generate_together(const std::vector<Asked>& together, const Ids& stop_tokens,
                                                const DecodingRules& rules, ReplyListener* listener) {
  const c10::NoGradGuard no_grad;
  std::vector<std::vector<Ids>> answers(together.size());
  const std::vector<Question> questions = questions_of(together);
  if (questions.empty()) return answers;
  const PackedWeights packed(*together.front().decoder);
  std::vector<Ids> replies = ReplyStream(together, questions, stop_tokens, rules, listener).run();
  for (std::size_t i = 0; i < questions.size(); ++i) answers[questions[i].member].push_back(std::move(replies[i]));
  return answers;
}

std::vector<Ids> generate(const Decoder& decoder, const std::vector<Ids>& prompts, const Ids& stop_tokens,
                          const GenerateOptions& options, const DecodingRules& rules) {
  return std::move(generate_together({{&decoder, prompts, options}}, stop_tokens, rules).front());
}

}  // namespace holdfast
