// Batched generation with a KV cache.
#pragma once

#include "learn/decoding_rules.h"
#include "model/decoder.h"

namespace holdfast {

/// Continues each prompt (token ids, at least one) until a stop token, which is not returned, or max_new_tokens: a
/// continuation of that many tokens is one that no stop token ended. Prompts are sorted by length into batches; their common
/// prefix is computed once; finished sequences leave the batch. Sampling draws from a stream of its own for each prompt, so
/// that a reply does not depend on what else is in the batch. The rules apply before a token is chosen, greedily or not.
std::vector<std::vector<std::int64_t>> generate(const Decoder& decoder, const std::vector<std::vector<std::int64_t>>& prompts,
                                                const std::vector<std::int64_t>& stop_tokens, const GenerateOptions& options,
                                                const DecodingRules& rules = {});

}  // namespace holdfast
