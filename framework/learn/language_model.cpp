#include "learn/language_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>

#include "base/digest.h"
#include "base/json.h"
#include "learn/encode.h"
#include "learn/kl.h"
#include "learn/label_loss.h"
#include "model/upload.h"

namespace holdfast {
namespace {

// Fewer common tokens than this do not pay for attending in two parts.
constexpr std::int64_t kWorthTwoParts = 8;

// Leading tokens that all examples have in common, with at least one token left to each; 0 when not worth it.
std::int64_t common_prefix(const std::vector<Encoded>& examples) {
  if (examples.size() < 2) return 0;
  const auto& first = examples.front().ids;
  std::size_t length = first.size();
  for (const auto& example : examples) {
    const auto end = example.ids.begin() + static_cast<std::ptrdiff_t>(std::min(length, example.ids.size()));
    length = static_cast<std::size_t>(std::mismatch(example.ids.begin(), end, first.begin()).first - example.ids.begin());
    length = std::min(length, example.ids.size() - 1);
  }
  return static_cast<std::int64_t>(length) >= kWorthTwoParts ? static_cast<std::int64_t>(length) : 0;
}

at::Tensor widened(const at::Tensor& tensor) { return tensor.to(at_least_float32(tensor)); }

// A batch with its common prefix kept once, as Decoder::forward_shared takes it.
struct SharedBatch {
  at::Tensor ids;                     // prefix, then each example's rest
  std::vector<std::int64_t> lengths;  // of the rests
  at::Tensor target_rows;             // into ids
};

SharedBatch share_prefix(const Batch& batch) {
  const std::int64_t prefix = batch.shared_prefix, total = batch.ids.size(0);
  std::vector<std::int64_t> kept, place(total);  // rows that stay, and where each old row now is
  SharedBatch shared;
  std::int64_t first = 0;
  for (const auto length : batch.lengths) {
    for (std::int64_t t = 0; t < length; ++t) {
      const bool repeated = t < prefix && first > 0;
      place[first + t] = repeated ? t : static_cast<std::int64_t>(kept.size());
      if (!repeated) kept.push_back(first + t);
    }
    shared.lengths.push_back(length - prefix);
    first += length;
  }
  const auto there = upload({kept, place}, batch.ids.device());
  shared.ids = batch.ids.index_select(0, there[0]);
  shared.target_rows = there[1].index_select(0, batch.target_rows);
  return shared;
}

}  // namespace

LanguageModel::LanguageModel(std::shared_ptr<Decoder> decoder, std::shared_ptr<const Tokenizer> tokenizer,
                             std::shared_ptr<const ChatTemplate> chat, std::vector<std::int64_t> stop_tokens,
                             SideFiles side_files, DecodingRules rules)
    : decoder_(std::move(decoder)),
      tokenizer_(std::move(tokenizer)),
      chat_(std::move(chat)),
      stop_tokens_(std::move(stop_tokens)),
      side_files_(std::move(side_files)),
      rules_(std::move(rules)) {
  if (chat_ != nullptr) find_end_of_turn();
}

LanguageModel::~LanguageModel() = default;

std::int64_t LanguageModel::layers() const { return decoder_->config().layers; }
std::int64_t LanguageModel::width() const { return decoder_->config().width; }
at::Device LanguageModel::device() const { return decoder_->device(); }

Encoded LanguageModel::encode(const Conversation& conversation, std::int64_t max_length) const {
  Encoded out = encode_chat(*tokenizer_, chat(), stop_tokens_, conversation);
  check_embedded(out.ids);
  const auto limit = static_cast<std::size_t>(max_length);
  if (limit > 0 && out.ids.size() > limit) {
    out.ids.resize(limit);
    out.label.resize(limit);
  }
  return out;
}

std::vector<std::int64_t> LanguageModel::encode_prompt(const Conversation& conversation) const {
  std::vector<std::int64_t> ids;
  for (const auto& token : tokenizer_->encode(chat().render(conversation, true), false)) ids.push_back(token.id);
  if (ids.empty()) throw Error("a prompt renders to no token at all: the chat template produced an empty text");
  check_embedded(ids);
  return ids;
}

Batch LanguageModel::pack(const std::vector<Encoded>& examples) const {
  std::vector<std::int64_t> ids, rows, targets, example_of, places;
  Batch batch;
  for (const auto& example : examples) {
    check_embedded(example.ids);
    const auto first = static_cast<std::int64_t>(ids.size());
    ids.insert(ids.end(), example.ids.begin(), example.ids.end());
    const auto number = static_cast<std::int64_t>(batch.lengths.size());
    batch.lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
    std::int64_t place = 0;
    // The first token has nothing before it that could predict it.
    for (std::size_t i = 1; i < example.ids.size(); ++i) {
      if (!example.label[i] || !example.label[i - 1]) place = 0;
      if (!example.label[i]) continue;
      example_of.push_back(number);
      places.push_back(place++);
      rows.push_back(first + static_cast<std::int64_t>(i) - 1);
      targets.push_back(example.ids[i]);
    }
  }
  const auto there = upload({ids, rows, targets, example_of, places}, device());
  batch.ids = there[0];
  batch.target_rows = there[1];
  batch.target_ids = there[2];
  batch.target_example = there[3];
  batch.target_place = there[4];
  batch.normalizer = static_cast<double>(targets.size());
  batch.shared_prefix = common_prefix(examples);
  return batch;
}

at::Tensor LanguageModel::hidden(const Batch& batch) const { return decoder_->forward(batch.ids, batch.lengths); }

// Hidden states of the rows that predict a label, (L, C).
at::Tensor LanguageModel::predicting_states(const Batch& batch) const {
  // A forward that is listened to keeps each example's own copy of the prefix: a step such as Vaccine's moves each by itself.
  if (batch.shared_prefix == 0 || !listeners().empty()) {
    return hidden(batch).index_select(0, batch.target_rows);
  }
  const SharedBatch shared = share_prefix(batch);
  return decoder_->forward_shared(shared.ids, batch.shared_prefix, shared.lengths).index_select(0, shared.target_rows);
}

std::vector<at::Tensor> LanguageModel::predicting_states(const std::vector<Predicted>& together) {
  std::vector<ForwardPart> parts;
  std::vector<at::Tensor> rows;
  for (const auto& [model, batch] : together) {
    if (batch->shared_prefix == 0) {
      parts.push_back({model->decoder_.get(), batch->ids, 0, batch->lengths});
      rows.push_back(batch->target_rows);
      continue;
    }
    SharedBatch shared = share_prefix(*batch);
    parts.push_back({model->decoder_.get(), shared.ids, batch->shared_prefix, std::move(shared.lengths)});
    rows.push_back(shared.target_rows);
  }
  std::vector<at::Tensor> states = parts.front().decoder->forward_together(parts);
  for (std::size_t i = 0; i < states.size(); ++i) states[i] = states[i].index_select(0, rows[i]);
  return states;
}

// Of the rows whose states these are.
Predictor LanguageModel::predictor_of(const at::Tensor& states) const {
  return {states, decoder_->head(), decoder_->config().logit_cap};
}

at::Tensor LanguageModel::log_probs(const Batch& batch) const {
  return label_log_probs(predictor_of(predicting_states(batch)), batch.target_ids);
}

at::Tensor LanguageModel::loss(const Batch& batch) const { return loss_of(predicting_states(batch), batch); }

at::Tensor LanguageModel::loss_of(const at::Tensor& states, const Batch& batch) const {
  const auto wide = at_least_float32(states);
  const at::Tensor weights = batch.target_weights.defined()
                                 ? batch.target_weights.to(wide) / batch.normalizer
                                 : at::full({states.size(0)}, 1 / batch.normalizer, states.options().dtype(wide));
  return label_loss(predictor_of(states), batch.target_ids, weights);
}

at::Tensor LanguageModel::next_log_probs(const Batch& batch) const {
  return at::log_softmax(widened(decoder_->logits(predicting_states(batch))), -1);
}

at::Tensor LanguageModel::kl(const Batch& batch, const Model& reference) const {
  const auto* other = dynamic_cast<const LanguageModel*>(&reference);
  HOLDFAST_CHECK(other != nullptr);
  const Predictor theirs = [&] {
    const c10::NoGradGuard no_grad;
    return other->predictor_of(other->predicting_states(batch));
  }();
  if (theirs.head.size(0) != decoder_->head().size(0)) {
    throw Error("the reference has a vocabulary of " + std::to_string(theirs.head.size(0)) + " tokens and the model one of " +
                std::to_string(decoder_->head().size(0)) + ": a divergence needs two models of one tokenizer");
  }
  return kl_by_chunks(predictor_of(predicting_states(batch)), theirs);
}

std::vector<std::vector<double>> LanguageModel::reply_log_probs(const std::vector<Conversation>& conversations) const {
  const c10::NoGradGuard no_grad;
  std::vector<std::vector<double>> replies;
  std::vector<Encoded> pending;
  std::size_t tokens = 0;
  const auto flush = [&] {
    if (pending.empty()) return;
    const Batch batch = pack(pending);
    const at::Tensor values = log_probs(batch).to(at::kCPU, at::kDouble), examples = batch.target_example.cpu();
    const std::size_t first = replies.size();
    replies.resize(first + pending.size());
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      replies[first + static_cast<std::size_t>(examples.data_ptr<std::int64_t>()[i])].push_back(values.data_ptr<double>()[i]);
    }
    pending.clear();
    tokens = 0;
  };
  for (const auto& conversation : conversations) {
    pending.push_back(encode(conversation));
    tokens += pending.back().ids.size();
    if (tokens >= kForwardTokens) flush();
  }
  flush();
  return replies;
}

std::vector<at::Tensor> LanguageModel::states(const Batch& batch, const std::vector<std::int64_t>& layers) const {
  for (const auto layer : layers) {
    if (layer >= 0 && layer <= this->layers()) continue;
    throw Error("states of layer " + std::to_string(layer) + " are asked for, and the model has 0 (the embedding) to " +
                std::to_string(this->layers()));
  }
  return decoder_->states(batch.ids, batch.lengths, layers);
}

at::Tensor LanguageModel::head(const at::Tensor& state) const { return widened(decoder_->logits(decoder_->final_norm(state))); }

std::vector<at::Tensor> LanguageModel::attention_shares(const Batch& batch, std::int64_t layer, const at::Tensor& queries,
                                                        const at::Tensor& keys) const {
  const ModelConfig& config = decoder_->config();
  if (layer < 0 || layer >= layers() || queries.size(0) != batch.ids.size(0) || keys.size(0) != batch.ids.size(0)) {
    throw Error("attention shares of layer " + std::to_string(layer) + " are asked for with queries of " +
                std::to_string(queries.size(0)) + " and keys of " + std::to_string(keys.size(0)) +
                " tokens, and the batch has " + std::to_string(batch.ids.size(0)) + " in layers 0 to " +
                std::to_string(layers() - 1));
  }
  const auto each_queries = queries.split_with_sizes(batch.lengths), each_keys = keys.split_with_sizes(batch.lengths);
  std::vector<at::Tensor> shares;
  for (std::size_t i = 0; i < each_queries.size(); ++i) {
    shares.push_back(
        holdfast::attention_shares(config, each_queries[i], each_keys[i], config.is_sliding(layer) ? config.window : 0));
  }
  return shares;
}

// Each example's mean hidden state over all its tokens, (C); the common prefix is computed once and counted for each.
std::vector<at::Tensor> LanguageModel::mean_states(const Batch& batch) const {
  std::vector<at::Tensor> means;
  if (batch.shared_prefix == 0 || !listeners().empty()) {
    for (const auto& states : hidden(batch).split_with_sizes(batch.lengths)) means.push_back(widened(states).mean(0));
    return means;
  }
  SharedBatch shared = share_prefix(batch);
  const at::Tensor states = widened(decoder_->forward_shared(shared.ids, batch.shared_prefix, shared.lengths));
  const at::Tensor begun = states.narrow(0, 0, batch.shared_prefix).sum(0);
  const at::Tensor rests = states.narrow(0, batch.shared_prefix, states.size(0) - batch.shared_prefix);
  for (const auto& rest : rests.split_with_sizes(shared.lengths)) {
    means.push_back((begun + rest.sum(0)) / static_cast<double>(batch.shared_prefix + rest.size(0)));
  }
  return means;
}

// Batches are made of the distinct conversations in the order given, and of nothing else: what was asked before must not show
// in the last bits. (B, C) on the CPU.
at::Tensor LanguageModel::mean_states(const std::vector<Conversation>& conversations,
                                      const std::vector<std::string>& rendered) const {
  std::map<std::string, std::size_t> places;  // of each distinct conversation in `means`
  std::vector<at::Tensor> means;
  std::vector<Encoded> pending;
  std::size_t tokens = 0;
  const auto flush = [&] {
    for (const auto& mean : pending.empty() ? std::vector<at::Tensor>() : mean_states(pack(pending)))
      means.push_back(mean.cpu());
    pending.clear();
    tokens = 0;
  };
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    if (!places.emplace(rendered[i], places.size()).second) continue;
    pending.push_back(encode(conversations[i]));
    tokens += pending.back().ids.size();
    if (tokens >= kForwardTokens) flush();
  }
  flush();
  std::vector<at::Tensor> rows;
  for (const auto& text : rendered) rows.push_back(means[places.at(text)]);
  return rows.empty() ? at::zeros({0, width()}, at::kFloat) : at::stack(rows);
}

// Filters ask the same of a shared model in every cell of a matrix.
at::Tensor LanguageModel::mean_hidden(const std::vector<Conversation>& conversations) const {
  const c10::NoGradGuard no_grad;
  std::vector<std::string> rendered;
  for (const auto& conversation : conversations) rendered.push_back(chat().render(conversation, false));
  if (!frozen_ || !listeners().empty()) return mean_states(conversations, rendered);
  const auto [known, fresh] = remembered_.try_emplace(sha256(canonical(rendered)));
  if (fresh) known->second = mean_states(conversations, rendered);
  return known->second.clone();
}

// A base checkpoint with a chat template often names only its end of text.
void LanguageModel::find_end_of_turn() {
  const auto end = end_of_turn(*tokenizer_, *chat_);
  if (!end) return;
  const auto is_stop = [&](std::int64_t id) { return std::count(stop_tokens_.begin(), stop_tokens_.end(), id) > 0; };
  if (!end->token) {
    const auto tokens = tokenizer_->encode(end->text, false);
    if (!tokens.empty() && is_stop(tokens.front().id)) return;
    log_warning(chat_->source() + ": the chat template puts " + (end->text.empty() ? "nothing" : in_quotes(end->text)) +
                " after a reply, which is no stop token: no end of a reply is learned, and replies run to max_new_tokens");
    return;
  }
  if (is_stop(*end->token)) return;
  stop_tokens_.push_back(*end->token);
  const auto generation = side_files_.find("generation_config.json");
  if (generation == side_files_.end()) return;
  Json settings = parse_json(generation->second, "generation_config.json");
  settings["eos_token_id"] = stop_tokens_;
  generation->second = settings.dump(2) + "\n";
}

// A tokenizer may know tokens that were added to it while the embedding kept its rows.
void LanguageModel::check_embedded(const std::vector<std::int64_t>& ids) const {
  const std::int64_t rows = decoder_->config().vocabulary;
  const auto beyond = std::find_if(ids.begin(), ids.end(), [&](auto id) { return id < 0 || id >= rows; });
  if (beyond == ids.end()) return;
  const std::string name = *beyond >= 0 && *beyond < tokenizer_->size() ? in_quotes(tokenizer_->token_of(*beyond)) + " " : "";
  throw Error("the token " + name + "has the id " + std::to_string(*beyond) + ", and the model's embedding has " +
              std::to_string(rows) + " rows: resize its embedding to the tokenizer, or leave the token out of the text");
}

const ChatTemplate& LanguageModel::chat() const {
  if (chat_ == nullptr) {
    throw Error("the checkpoint has no chat template: put a chat_template.jinja into its folder");
  }
  return *chat_;
}

}  // namespace holdfast
