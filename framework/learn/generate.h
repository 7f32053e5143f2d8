// Batched generation with a KV cache.
#pragma once

#include "learn/decoding_rules.h"
#include "model/decoder.h"

namespace holdfast {

/// Continues each prompt (token ids, at least one) until a stop token, which is not returned, or max_new_tokens: a
/// continuation of that many tokens is one that no stop token ended. batch_size prompts are under way at a time: where one has
/// ended the next begins. Their common prefix is computed once. Sampling draws from a stream of its own for each prompt, and
/// on the CPU in float32 a row's bits do not depend on the others: a reply is the same whatever else is in the batch. The rules
/// apply before a token is chosen, greedily or not.
std::vector<std::vector<std::int64_t>> generate(const Decoder& decoder, const std::vector<std::vector<std::int64_t>>& prompts,
                                                const std::vector<std::int64_t>& stop_tokens, const GenerateOptions& options,
                                                const DecodingRules& rules = {});

/// Told of replies while they grow, by the thread that generates.
class ReplyListener {
 public:
  virtual ~ReplyListener() = default;
  /// The reply to that prompt of that member, both from 0, has these tokens, the last of them new unless a stop token `ended`
  /// it; so did max_new_tokens. Says false to end it here. Where a failure makes a reply be generated anew it begins again with
  /// its first token.
  virtual bool grown(std::size_t member, std::size_t prompt, const std::vector<std::int64_t>& reply, bool ended) = 0;
};

/// The prompts of one of several decoders that are adapters on the same weights.
struct Asked {
  const Decoder* decoder = nullptr;
  std::vector<std::vector<std::int64_t>> prompts;
  GenerateOptions options = {};
};

/// generate() of all of them in one stream of batches, each row with its decoder's factors: the replies of each are those that
/// it gives alone. Batches hold options.batch_size rows for each decoder.
std::vector<std::vector<std::vector<std::int64_t>>> generate_together(const std::vector<Asked>& together,
                                                                      const std::vector<std::int64_t>& stop_tokens,
                                                                      const DecodingRules& rules = {},
                                                                      ReplyListener* listener = nullptr);

}  // namespace holdfast
