// What a checkpoint asks of every reply, greedy ones too: penalties and forbidden tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

struct DecodingRules {
  double repetition_penalty = 1;        // logits of tokens that are there already (prompt included) are divided by it, negative
                                        // ones multiplied (Keskar et al. 2019, arXiv 1909.05858)
  std::int64_t no_repeat_ngram = 0;     // no run of so many tokens twice, prompt included; 0: any
  std::int64_t min_tokens = 0;          // no stop token before there are so many, prompt included
  std::int64_t min_new_tokens = 0;      // the same without the prompt
  std::vector<std::int64_t> forbidden;  // never chosen
  std::vector<std::int64_t> forbidden_first;  // not chosen as the first token of a reply

  bool none() const;
};

/// From the content of a generation_config.json, as transformers' greedy search follows it. Its sampling settings are not read:
/// temperature and nucleus are the caller's. Throws Error naming `source` and the key of what would change greedy replies and
/// is not supported.
DecodingRules decoding_rules(const Json& config, const std::string& source);

/// The same logits (V), in float32 or wider, for the token that follows `history` (prompt and reply so far, of which the last
/// `replied` tokens are the reply).
at::Tensor ruled(const at::Tensor& logits, const DecodingRules& rules, const std::vector<std::int64_t>& history,
                 std::int64_t replied, const std::vector<std::int64_t>& stop_tokens);

}  // namespace holdfast
