#include "learn/decoding_rules.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>
#include <limits>
#include <set>

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// Keys of transformers' GenerationConfig that change no greedy reply of ours: limits and sampling, which our own options
// decide; how it computes; what it returns; whom it is from.
const std::set<std::string> kWithoutEffect = {
    "max_length", "max_new_tokens", "max_time", "do_sample", "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p",
    "epsilon_cutoff", "eta_cutoff", "early_stopping", "length_penalty", "num_return_sequences", "renormalize_logits",
    "remove_invalid_values", "use_cache", "cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size",
    "compile_config", "disable_compile", "continuous_batching_config", "low_memory", "output_attentions",
    "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate", "return_dict", "bos_token_id",
    "eos_token_id", "pad_token_id", "decoder_start_token_id",
    // Assisted generation gives the same tokens sooner.
    "use_mtp", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
    "assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight", "speculation_type",
    "prompt_lookup_num_tokens", "max_matching_ngram_size", "transformers_version", "_from_model_config", "_commit_hash",
    "_original_object_hash"};
const std::set<std::string> kHonoured = {"repetition_penalty", "no_repeat_ngram_size", "min_length",
                                         "min_new_tokens",     "suppress_tokens",      "begin_suppress_tokens"};
// Where one says "off"; elsewhere null, false, 0 and nothing do.
const std::set<std::string> kOffAtOne = {"num_beams", "num_beam_groups", "guidance_scale", "encoder_repetition_penalty"};

bool is_off(const std::string& key, const Json& value) {
  return value.is_null() || value == false || value == 0 || (kOffAtOne.contains(key) && value == 1) || value == "" ||
         ((value.is_array() || value.is_object()) && value.empty());
}

class Settings {
 public:
  Settings(const Json& config, const std::string& source) : config_(config), source_(source) {}

  std::int64_t count(const char* key) const {
    const Json value = config_.value(key, Json());
    if (value.is_null()) return 0;
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0) refuse(key, "a whole number, 0 or more");
    return value.get<std::int64_t>();
  }
  double penalty(const char* key) const {
    const Json value = config_.value(key, Json());
    if (value.is_null()) return 1;
    if (!value.is_number() || !(value.get<double>() > 0)) refuse(key, "a positive number");
    return value.get<double>();
  }
  Ids ids(const char* key) const {
    const Json value = config_.value(key, Json());
    if (value.is_null()) return {};
    const auto is_id = [](const Json& id) { return id.is_number_integer() && id.get<std::int64_t>() >= 0; };
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_id)) refuse(key, "a list of token ids");
    return value.get<Ids>();
  }

 private:
  [[noreturn]] void refuse(const char* key, const char* expected) const {
    throw Error(source_ + ": \"" + key + "\" is " + canonical(config_[key]) + ", expected " + expected);
  }

  const Json& config_;
  const std::string& source_;
};

// Tokens that would complete a run of `size` that the history has already.
Ids completions(const Ids& history, std::int64_t size) {
  Ids found;
  const auto length = static_cast<std::int64_t>(history.size());
  const auto last = history.end() - (size - 1);
  for (std::int64_t begin = 0; begin + size <= length; ++begin) {
    const auto run = history.begin() + begin;
    if (std::equal(run, run + size - 1, last)) found.push_back(run[size - 1]);
  }
  return found;
}

void forbid(at::Tensor& logits, const Ids& ids) {
  Ids within;  // a checkpoint may forbid tokens that it does not have
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(within), [&](auto id) { return id < logits.size(0); });
  if (within.empty()) return;
  logits.index_fill_(0, at::tensor(within, at::kLong).to(logits.device()), -std::numeric_limits<double>::infinity());
}

}  // namespace

bool DecodingRules::none() const {
  return repetition_penalty == 1 && no_repeat_ngram == 0 && min_tokens == 0 && min_new_tokens == 0 && forbidden.empty() &&
         forbidden_first.empty();
}

DecodingRules decoding_rules(const Json& config, const std::string& source) {
  if (!config.is_object()) throw Error(source + " is not a JSON object");
  for (const auto& [key, value] : config.items()) {
    if (kHonoured.contains(key) || kWithoutEffect.contains(key) || is_off(key, value)) continue;
    throw Error(source + ": \"" + key + "\" is " + canonical(value) +
                ", which replies here do not follow: remove the key to generate without it");
  }
  const Settings settings(config, source);
  DecodingRules rules;
  rules.repetition_penalty = settings.penalty("repetition_penalty");
  rules.no_repeat_ngram = settings.count("no_repeat_ngram_size");
  rules.min_tokens = settings.count("min_length");
  rules.min_new_tokens = settings.count("min_new_tokens");
  rules.forbidden = settings.ids("suppress_tokens");
  rules.forbidden_first = settings.ids("begin_suppress_tokens");
  return rules;
}

at::Tensor ruled(const at::Tensor& logits, const DecodingRules& rules, const Ids& history, std::int64_t replied,
                 const Ids& stop_tokens) {
  at::Tensor out = logits.to(at::promote_types(logits.scalar_type(), at::kFloat), /*non_blocking=*/false, /*copy=*/true);
  if (rules.repetition_penalty != 1) {
    const std::set<std::int64_t> seen(history.begin(), history.end());
    const at::Tensor rows = at::tensor(Ids(seen.begin(), seen.end()), at::kLong).to(out.device());
    const at::Tensor plain = out.index_select(0, rows);
    out.index_copy_(0, rows, at::where(plain < 0, plain * rules.repetition_penalty, plain / rules.repetition_penalty));
  }
  const auto length = static_cast<std::int64_t>(history.size());
  if (rules.no_repeat_ngram > 0 && length >= rules.no_repeat_ngram) forbid(out, completions(history, rules.no_repeat_ngram));
  if (length < rules.min_tokens || replied < rules.min_new_tokens) forbid(out, stop_tokens);
  forbid(out, rules.forbidden);
  if (replied == 0) forbid(out, rules.forbidden_first);
  return out;
}

}  // namespace holdfast
