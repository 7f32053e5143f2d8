// What a stage may ask of a model beyond its loss: states, heads, divergences, weights. In float64 with adapters in place,
// unless a test says otherwise.
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/message_of.h"
#include "learn/adapted_model.h"
#include "learn/gradient_check.h"
#include "learn/kl.h"

namespace holdfast {
namespace {

using fixtures::adapted;
using fixtures::distance;
using fixtures::waves;

Batch packed(const LanguageModel& model, std::size_t count = 3) {
  std::vector<Encoded> rows;
  for (const auto& row : fixtures::trained_rows()) rows.push_back(model.encode(row.messages));
  rows.resize(count);
  return model.pack(rows);
}

/// Compares the gradients of a loss of the model with central differences, in all its trainable tensors.
void expect_gradients_of_loss(const std::string& name, LanguageModel& model, const std::function<at::Tensor()>& loss) {
  model.decoder().require_gradients(true);
  loss().backward();
  fixtures::Rule rule{name, model.trainable(), [&] { return loss().item<double>(); }, {}};
  for (auto& [key, tensor] : rule.parameters) {
    rule.gradients[key] = tensor.grad().defined() ? tensor.grad().clone() : at::zeros_like(tensor);
    tensor.mutable_grad() = at::Tensor();
  }
  model.decoder().require_gradients(false);
  fixtures::expect_gradients_of(rule);
}

class ModelInFloat64 : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<LanguageModel> model_ = adapted(GetParam(), at::kDouble);
  Batch batch_ = packed(*model_);
};

INSTANTIATE_TEST_SUITE_P(Families, ModelInFloat64, testing::Values("grouped", "mistral", "qwen2", "gemma2", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST_P(ModelInFloat64, StatesAndHeadAreThoseOfTheForward) {
  const std::int64_t last = model_->layers();
  const auto states = model_->states(batch_, {last, 0, 1, last});
  EXPECT_TRUE(model_->decoder().final_norm(states[0]).equal(model_->hidden(batch_)));
  EXPECT_TRUE(states[3].equal(states[0]));
  Taps taps(*model_, Site::kBlock);
  EXPECT_TRUE(model_->states(batch_, {1})[0].equal(states[2]));
  EXPECT_TRUE(taps.at(0).equal(states[2])) << "state 1 stands behind block 0";
  EXPECT_THAT(message_of([&] { taps.at(last - 1); }), testing::HasSubstr("before a forward"))
      << "no block behind the last asked";
  const double scale = model_->decoder().config().embedding_scale;
  EXPECT_LT(distance(states[1], at::embedding(model_->weights().at("model.embed_tokens.weight"), batch_.ids) * scale), 1e-12);
  // Listened to, as the taps see to it, so that both are one forward of whole examples.
  const at::Tensor logits = model_->head(states[0].index_select(0, batch_.target_rows));
  EXPECT_TRUE(at::log_softmax(logits, -1).equal(model_->next_log_probs(batch_)));
  EXPECT_TRUE(
      model_->next_log_probs(batch_).gather(1, batch_.target_ids.unsqueeze(1)).squeeze(1).equal(model_->log_probs(batch_)));
}

TEST_P(ModelInFloat64, HeadOfAnyStateHasItsGradient) {
  expect_gradients_of_loss("head", *model_, [&] {
    const auto states = model_->states(batch_, {1, 2});
    return at::log_softmax(model_->head(states[0].narrow(0, 3, 6)), -1).select(1, 7).mean() + states[1].square().mean();
  });
}

TEST_P(ModelInFloat64, KlIsThatOfTheWholeDistributions) {
  const auto reference = model_->copy();
  reference->decoder().merge_adapters();
  reference->set_weight("model.norm.weight", reference->weights().at("model.norm.weight") * 1.3);
  const at::Tensor theirs = reference->next_log_probs(batch_), own = model_->next_log_probs(batch_);
  const at::Tensor found = model_->kl(batch_, *reference);
  EXPECT_EQ(found.sizes(), batch_.target_ids.sizes());
  for (std::int64_t row = 0; row < found.size(0); ++row) {
    double sum = 0;
    for (std::int64_t v = 0; v < own.size(1); ++v) {
      const double p = std::exp(theirs[row][v].item<double>());
      sum += p * (theirs[row][v].item<double>() - own[row][v].item<double>());
    }
    ASSERT_NEAR(found[row].item<double>(), sum, 1e-10);
    ASSERT_GT(sum, 1e-6);
  }
  EXPECT_GT(distance(reference->kl(batch_, *model_), found), 1e-4) << "it has a direction";
  EXPECT_EQ(model_->kl(batch_, *model_).abs().max().item<double>(), 0);
  expect_gradients_of_loss("kl", *model_, [&] { return model_->kl(batch_, *reference).mean(); });
}

// The head, and every weight before it.
TEST(Kl, MovesAllWeightsOfAFullModel) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  const auto reference = model->copy();
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  reference->set_weight(name, reference->weights().at(name) * 0.5);
  const Batch batch = packed(*model);
  expect_gradients_of_loss("kl", *model, [&] { return model->kl(batch, *reference).mean(); });
}

TEST(Kl, DoesNotDependOnItsChunks) {
  const auto numbers = [](std::int64_t rows, double phase) { return waves({rows, 5}, phase).set_requires_grad(true); };
  const Predictor own{numbers(7, 0.1), numbers(11, 0.7), 2}, reference{waves({7, 5}, 0.4), waves({11, 5}, 0.2), 0};
  const at::Tensor slopes = waves({7}, 0.3);
  std::vector<std::vector<at::Tensor>> made;
  for (const std::int64_t values : {1, 30, 1000}) {
    const at::Tensor out = kl_by_chunks(own, reference, values);
    made.push_back(torch::autograd::grad({out}, {own.states, own.head}, {slopes}));
    made.back().push_back(out);
  }
  for (std::size_t i = 0; i < made[0].size(); ++i) {
    EXPECT_LT(distance(made[0][i], made[2][i]), 1e-14);
    EXPECT_LT(distance(made[1][i], made[2][i]), 1e-14);
    EXPECT_GT(made[0][i].abs().max().item<double>(), 1e-3);
  }
  EXPECT_EQ(kl_by_chunks({own.states.narrow(0, 0, 0), own.head, 0}, {own.states.narrow(0, 0, 0), own.head, 0}).numel(), 0);
}

TEST(Kl, NeedsOneVocabulary) {
  const auto model = fixtures::load("grouped"), other = fixtures::load("gemma2");
  const std::int64_t own = model->decoder().config().vocabulary, theirs = other->decoder().config().vocabulary;
  ASSERT_NE(own, theirs);
  const Batch batch = model->pack({Encoded{{1, 2, 3}, {false, true, true}}});
  EXPECT_THAT(message_of([&] { model->kl(batch, *other); }),
              testing::HasSubstr("a vocabulary of " + std::to_string(theirs) + " tokens"));
}

// Queries and keys give what attention makes of the values.
TEST_P(ModelInFloat64, AttentionSharesMixTheValues) {
  const ModelConfig& config = model_->decoder().config();
  for (std::int64_t layer = 0; layer < model_->layers(); ++layer) {
    Taps queries(*model_, Site::kQuery, {layer}), keys(*model_, Site::kKey, {layer});
    Taps in(*model_, Site::kLinearInput, {layer}, "v_proj"), out(*model_, Site::kLinearInput, {layer}, "o_proj");
    model_->hidden(batch_);
    const auto shares = model_->attention_shares(batch_, layer, queries.at(layer), keys.at(layer));
    const std::string v = "model.layers." + std::to_string(layer) + ".self_attn.v_proj.";
    at::Tensor values = in.at(layer).matmul(model_->effective_weight(v + "weight").t());
    if (config.qkv_bias) values = values + model_->effective_weight(v + "bias");
    std::int64_t first = 0;
    for (std::size_t i = 0; i < batch_.lengths.size(); first += batch_.lengths[i++]) {
      const std::int64_t tokens = batch_.lengths[i];
      ASSERT_EQ(shares[i].sizes(), at::IntArrayRef({config.heads, tokens, tokens}));
      EXPECT_LT(distance(shares[i].sum(-1), at::ones({config.heads, tokens})), 1e-12);
      for (std::int64_t head = 0; head < config.heads; ++head) {
        const std::int64_t shared = head / (config.heads / config.kv_heads), width = config.head_width;
        const at::Tensor mixed = shares[i][head].matmul(values.narrow(0, first, tokens).narrow(1, shared * width, width));
        EXPECT_LT(distance(mixed, out.at(layer).narrow(0, first, tokens).narrow(1, head * width, width)), 1e-10);
      }
    }
  }
  EXPECT_THAT(message_of([&] {
                model_->attention_shares(batch_, 0, at::zeros({1, 2, 2}), at::zeros({1, 2, 2}));
              }),
              testing::HasSubstr("queries of 1 and keys of 1 tokens"));
}

TEST_P(ModelInFloat64, EffectiveWeightsAreTheMergedOnesWithAGraph) {
  model_->decoder().require_gradients(true);
  const auto weights = model_->weights();
  const auto merged = model_->copy();
  merged->decoder().merge_adapters();
  for (const auto& [name, weight] : merged->decoder().weights()) {
    EXPECT_TRUE(weights.at(name).equal(weight)) << name;
    EXPECT_FALSE(weights.at(name).requires_grad()) << name;
    EXPECT_TRUE(model_->effective_weight(name).equal(weight)) << name;
  }
  EXPECT_EQ(weights.size(), merged->decoder().weights().size());
  const auto names = model_->linears(1);
  ASSERT_EQ(names.size(), 7u);
  EXPECT_EQ(names.back(), "model.layers.1.mlp.down_proj.weight");
  for (const auto& name : names) EXPECT_FALSE(weights.at(name).equal(model_->decoder().weights().at(name))) << name;
  model_->decoder().require_gradients(false);
  expect_gradients_of_loss("effective weight", *model_, [&] {
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::int64_t block = 0; block < model_->layers(); ++block) {
      for (const auto& name : model_->linears(block)) sum = sum + model_->effective_weight(name).square().mean();
    }
    return sum;
  });
}

TEST(Weights, SetWeightIsWhatTheNextForwardUses) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  const Batch batch = packed(*model);
  const at::Tensor before = model->hidden(batch);
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  const at::Tensor kept = model->weights().at(name).clone(), values = waves(kept.sizes(), 0.2);
  NamedTensors weights = model->weights();
  weights[name] = values;
  model->set_weight(name, values.to(at::kFloat).to(at::kDouble));
  model->set_weight(name, values);
  const Decoder rebuilt(model->decoder().config(), weights, "the test");
  EXPECT_TRUE(model->hidden(batch).equal(rebuilt.forward(batch.ids, batch.lengths)));
  EXPECT_GT(distance(model->hidden(batch), before), 1e-3);
  model->set_weight(name, kept);
  EXPECT_TRUE(model->hidden(batch).equal(before));
}

TEST(Weights, AreRefusedByName) {
  const auto model = adapted("grouped", at::kFloat);
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  const at::Tensor weight = model->weights().at(name);
  EXPECT_THAT(message_of([&] { model->set_weight(name, weight); }), testing::HasSubstr("has a LoRA adapter"));
  EXPECT_EQ(message_of([&] { model->effective_weight("model.layers.0.self_attn.q_prj.weight"); }),
            "the model has no weight \"model.layers.0.self_attn.q_prj.weight\". Did you mean \"" + name + "\"?");
  EXPECT_THAT(message_of([&] { model->effective_weight("nonsense"); }), testing::HasSubstr("called as in a checkpoint"));
  EXPECT_THAT(message_of([&] { model->linears(2); }), testing::HasSubstr("blocks 0 to 1"));
  EXPECT_THAT(message_of([&] { model->states(packed(*model), {3}); }), testing::HasSubstr("0 (the embedding) to 2"));
  model->decoder().merge_adapters();
  EXPECT_EQ(message_of([&] { model->set_weight(name, weight); }), "no error");
  EXPECT_THAT(message_of([&] { model->set_weight(name, at::zeros({3, 2})); }), testing::HasSubstr("values of shape [3, 2]"));
  EXPECT_THAT(message_of([&] { model->set_weight(name, weight * INFINITY); }), testing::HasSubstr("not finite"));
}

TEST(Weights, ACloneIsAnotherModel) {
  const auto model = adapted("grouped", at::kDouble);
  const Batch batch = packed(*model);
  const at::Tensor before = model->hidden(batch);
  Taps taps(*model, Site::kBlock);
  model->freeze();
  const std::unique_ptr<Model> clone = model->clone();
  EXPECT_TRUE(clone->listeners().empty());
  EXPECT_TRUE(clone->hidden(batch).equal(before));
  const c10::NoGradGuard no_grad;
  for (auto& [name, factor] : clone->trainable()) factor.mul_(2);
  clone->set_weight("model.norm.weight", waves({32}, 0.1));
  EXPECT_GT(distance(clone->hidden(batch), before), 1e-2);
  EXPECT_TRUE(model->hidden(batch).equal(before));
}

TEST(Model, ReplyLogProbsAreThoseOfEachConversationAlone) {
  const auto model = adapted("grouped", at::kDouble);
  std::vector<Conversation> asked;
  for (int again = 0; again < 40; ++again) {  // more than one forward takes
    for (const auto& row : fixtures::trained_rows()) asked.push_back(row.messages);
  }
  asked.insert(asked.begin() + 1, Conversation{{"user", "Nothing to learn"}});
  const auto replies = model->reply_log_probs(asked);
  ASSERT_EQ(replies.size(), asked.size());
  EXPECT_TRUE(replies[1].empty());
  for (std::size_t i = 0; i < asked.size(); i += 3) {
    const at::Tensor alone = model->log_probs(model->pack({model->encode(asked[i])}));
    EXPECT_LT(distance(at::tensor(replies[i], at::kDouble), alone), 1e-10) << i;
  }
}

TEST(Model, ABatchSaysOfEachTargetWhereItComesFrom) {
  const auto model = fixtures::load("grouped");
  const Batch batch = model->pack({Encoded{{1, 2, 3, 4, 5, 6, 7}, {true, true, true, false, false, true, true}},
                                   Encoded{{1, 2}, {false, false}}, Encoded{{1, 2, 3}, {false, false, true}}});
  EXPECT_EQ(fixtures::ids_of(batch.target_example), (std::vector<std::int64_t>{0, 0, 0, 0, 2}));
  EXPECT_EQ(fixtures::ids_of(batch.target_place), (std::vector<std::int64_t>{0, 1, 0, 1, 0}));
  EXPECT_FALSE(batch.target_weights.defined());
  EXPECT_TRUE(batch.rows.empty());
}

TEST(Model, AnswersInBfloat16) {
  const auto model = adapted("gemma2", at::kBFloat16);
  const auto wide = adapted("gemma2", at::kFloat);
  const Batch batch = packed(*model);
  const at::Tensor own = model->next_log_probs(batch), theirs = wide->next_log_probs(batch);
  EXPECT_EQ(own.scalar_type(), at::kFloat);
  EXPECT_LT(distance(model->kl(batch, *wide), (theirs.exp() * (theirs - own)).sum(-1)), 1e-5);
  EXPECT_EQ(model->kl(batch, *model).abs().max().item<double>(), 0);
  model->decoder().require_gradients(true);
  model->kl(batch, *wide).sum().backward();
  for (const auto& [name, factor] : model->trainable()) {
    EXPECT_TRUE(factor.grad().defined() && at::isfinite(factor.grad()).all().item<bool>()) << name;
  }
  const auto merged = model->copy();
  merged->decoder().merge_adapters();
  for (const auto& [name, weight] : merged->weights()) EXPECT_TRUE(model->weights().at(name).equal(weight)) << name;
  EXPECT_EQ(model->head(model->states(batch, {1})[0]).scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace holdfast
