// States of whole rows by the decoder written down once more, a row at a time; and what a screen makes of its scores.
#pragma once

#include "fakes/context.h"
#include "learn/checkpoint_fixtures.h"
#include "plugin/reference_gradients.h"
#include "plugin/shipped.h"

namespace holdfast::fixtures {

/// (T, C) at a layer: 0 is the embedding, l stands behind block l, -1 behind the final norm.
inline at::Tensor reference_states(const LanguageModel& model, const std::vector<std::int64_t>& ids, std::int64_t layer) {
  const c10::NoGradGuard no_grad;
  const NamedTensors weights = model.decoder().weights();
  at::Tensor seen = weights.at("model.embed_tokens.weight").index_select(0, at::tensor(ids, at::kLong));
  const std::int64_t behind = layer < 0 ? model.layers() : layer;
  ReferenceDecoder decoder(model.decoder());
  decoder.visit = [&](Site site, std::int64_t at, const std::string&, const at::Tensor& value) {
    if (site == Site::kBlock && at == behind - 1) seen = value;
    return value;
  };
  decoder.logits(ids);
  if (layer >= 0) return seen;
  const double eps = model.decoder().config().norm_eps;
  return seen / (seen.square().mean(1, true) + eps).sqrt() * weights.at("model.norm.weight");
}

struct ReferenceRow {
  at::Tensor first, last, prompt, reply, all;  // (C): first token, last token, last token of the prompt, means of reply and row
};

/// A row that ends with a reply.
inline ReferenceRow reference_row(const LanguageModel& model, Conversation messages, std::int64_t layer) {
  const Encoded whole = model.encode(messages);
  const at::Tensor states = reference_states(model, whole.ids, layer);
  messages.pop_back();
  const auto begin = static_cast<std::int64_t>(model.encode_prompt(messages).size());
  at::Tensor sum = at::zeros({model.width()}, at::kDouble);
  double count = 0;
  for (auto i = begin; i < static_cast<std::int64_t>(whole.ids.size()); ++i) {
    if (!whole.label[static_cast<std::size_t>(i)]) continue;
    sum += states[i];
    ++count;
  }
  return {states[0], states[-1], states[begin - 1], sum / count, states.mean(0)};
}

inline double reference_cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a.dot(b) / (a.norm() * b.norm())).item<double>();
}

/// What a screen keeps of the rows.
inline Dataset screened(const std::string& plugin, const Json& settings, const Dataset& rows, Context& context) {
  return make_defense(plugin, settings).screen->screen(rows, context);
}

/// A threshold just below a row's score drops it, and one just above keeps it.
inline void expect_scores(const std::string& plugin, Json settings, const Dataset& rows, Context& context,
                          const std::vector<double>& scores) {
  settings["select"] = "threshold";
  const auto keeps = [&](std::size_t row, double threshold) {
    settings["threshold"] = threshold;
    const Dataset kept = screened(plugin, settings, rows, context);
    return std::find(kept.begin(), kept.end(), rows[row]) != kept.end();
  };
  ASSERT_EQ(scores.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_FALSE(keeps(i, scores[i] - 1e-9)) << settings << ", row " << i << " of score " << scores[i];
    EXPECT_TRUE(keeps(i, scores[i] + 1e-9)) << settings << ", row " << i << " of score " << scores[i];
  }
}

/// The largest difference of two lists of scores.
inline double score_distance(const std::vector<double>& a, const std::vector<double>& b) {
  return distance(at::tensor(a, at::kDouble), at::tensor(b, at::kDouble));
}

}  // namespace holdfast::fixtures
