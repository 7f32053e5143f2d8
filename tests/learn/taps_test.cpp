// What taps show and move at each site, against the decoder written down once more.
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/message_of.h"
#include "learn/adapted_model.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/reference_decoder.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::waves;

struct Place {
  Site site;
  std::string linear = {};
};

const std::vector<Place> kPlaces = {{Site::kBlock},
                                    {Site::kAttention},
                                    {Site::kFeedForward},
                                    {Site::kLinearInput, "q_proj"},
                                    {Site::kLinearInput, "v_proj"},
                                    {Site::kLinearInput, "o_proj"},
                                    {Site::kLinearInput, "up_proj"},
                                    {Site::kLinearInput, "down_proj"},
                                    {Site::kQuery},
                                    {Site::kKey}};

std::string name_of(const Place& place, std::int64_t layer) {
  return "site " + std::to_string(static_cast<int>(place.site)) + " " + place.linear + " layer " + std::to_string(layer);
}

class TapsOfADecoder : public testing::Test {
 protected:
  TapsOfADecoder() {
    for (const auto& row : fixtures::trained_rows()) rows_.push_back(model_->encode(row.messages));
    rows_.resize(3);
    batch_ = model_->pack(rows_);
  }

  /// The reference's sum of the labels' log-probabilities, with `value` of each example's rows at a site replaced by move().
  using Move = std::function<at::Tensor(const at::Tensor& value, std::int64_t first, std::int64_t head)>;
  at::Tensor reference(const Place& place, std::int64_t layer, const Move& move) const {
    fixtures::ReferenceDecoder decoder(model_->decoder());
    std::int64_t first = 0;
    decoder.visit = [&](Site site, std::int64_t at_layer, const std::string& part, const at::Tensor& value) {
      const bool of_head = site == Site::kQuery || site == Site::kKey;
      if (site != place.site || at_layer != layer || (!of_head && part != place.linear)) return value;
      return move(value, first, of_head ? std::stoll(part) : 0);
    };
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (const auto& row : rows_) {
      const at::Tensor all = decoder.log_probs(row.ids);
      for (std::size_t i = 1; i < row.ids.size(); ++i) {
        if (row.label[i]) sum = sum + all[static_cast<std::int64_t>(i) - 1][row.ids[i]];
      }
      first += static_cast<std::int64_t>(row.ids.size());
    }
    return sum;
  }

  at::Tensor sum() const { return model_->log_probs(batch_).sum(); }

  std::unique_ptr<LanguageModel> model_ = fixtures::adapted_in_float64("grouped");
  std::vector<Encoded> rows_;
  Batch batch_;
};

bool of_heads(const Place& place) { return place.site == Site::kQuery || place.site == Site::kKey; }

TEST_F(TapsOfADecoder, ShowWhatTheReferenceComputes) {
  const c10::NoGradGuard no_grad;
  for (const auto& place : kPlaces) {
    Taps taps(*model_, place.site, {}, place.linear);
    sum();
    for (std::int64_t layer = 0; layer < model_->layers(); ++layer) {
      int seen = 0;
      reference(place, layer, [&](const at::Tensor& value, std::int64_t first, std::int64_t head) {
        const at::Tensor rows = taps.at(layer).narrow(0, first, value.size(0));
        EXPECT_LT(distance(of_heads(place) ? rows.select(1, head) : rows, value), 1e-12) << name_of(place, layer);
        ++seen;
        return value;
      });
      EXPECT_GE(seen, 3) << name_of(place, layer);
    }
  }
}

TEST_F(TapsOfADecoder, AddTheirOffsetThere) {
  const c10::NoGradGuard no_grad;
  const double plain = sum().item<double>();
  for (const auto& place : kPlaces) {
    Taps taps(*model_, place.site, {1}, place.linear);
    sum();
    const at::Tensor by = waves(taps.at(1).sizes(), 0.3);
    taps.offset(1, by);
    const double moved = sum().item<double>();
    const at::Tensor wanted = reference(place, 1, [&](const at::Tensor& value, std::int64_t first, std::int64_t head) {
      const at::Tensor rows = by.narrow(0, first, value.size(0));
      return value + (of_heads(place) ? rows.select(1, head) : rows);
    });
    EXPECT_NEAR(moved, wanted.item<double>(), 1e-9) << name_of(place, 1);
    EXPECT_GT(std::abs(moved - plain), 1e-4) << name_of(place, 1);
  }
}

TEST_F(TapsOfADecoder, GiveGradientsOfWhatStandsThereAndOfAnOffset) {
  for (const auto& place : kPlaces) {
    Taps taps(*model_, place.site, {1}, place.linear);
    sum();
    const at::Tensor by = at::zeros(taps.at(1).sizes(), at::kDouble).set_requires_grad(true);
    taps.offset(1, by);
    model_->decoder().require_gradients(true);
    const at::Tensor loss = sum();
    const auto gradients = torch::autograd::grad({loss}, {by, taps.at(1)});
    model_->decoder().require_gradients(false);
    // What several linears read has the gradient of them all.
    const bool shared = place.linear == "q_proj" || place.linear == "v_proj" || place.linear == "up_proj";
    EXPECT_EQ(distance(gradients[0], gradients[1]) < 1e-14, !shared) << name_of(place, 1);
    const c10::NoGradGuard no_grad;
    const at::Tensor along = waves(by.sizes(), 1.1);
    const auto at_distance = [&](double length) {
      taps.offset(1, along * length);
      return sum().item<double>();
    };
    EXPECT_NEAR((gradients[0] * along).sum().item<double>(), (at_distance(1e-5) - at_distance(-1e-5)) / 2e-5, 1e-6)
        << name_of(place, 1);
  }
}

TEST_F(TapsOfADecoder, AnOffsetOfZeroChangesNoBit) {
  const at::Tensor plain = model_->hidden(batch_);
  for (const auto& place : kPlaces) {
    Taps taps(*model_, place.site, {}, place.linear);
    model_->hidden(batch_);
    for (const auto layer : taps.layers()) taps.offset(layer, at::zeros_like(taps.at(layer)));
    EXPECT_TRUE(model_->hidden(batch_).equal(plain)) << name_of(place, 0);
  }
}

TEST_F(TapsOfADecoder, SeveralOnOneSiteAddUpAndEndByThemselves) {
  const at::Tensor plain = model_->hidden(batch_);
  const at::Tensor a = waves(plain.sizes(), 0.2), b = waves({32}, 0.9);
  Taps outer(*model_, Site::kFeedForward, {1});
  outer.offset(1, a);
  const at::Tensor by_outer = model_->hidden(batch_);
  const at::Tensor seen = outer.at(1);
  {
    Taps inner(*model_, Site::kFeedForward, {1, 0});
    inner.offset(1, b);  // a vector, for every token
    const at::Tensor both = model_->hidden(batch_);
    EXPECT_TRUE(inner.at(1).equal(seen)) << "what the model computed, before any offset";
    outer.offset(1, a + b);
    inner.offset(1, {});
    EXPECT_LT(distance(model_->hidden(batch_), both), 1e-12);
    outer.offset(1, a);
    inner.offset(0, b);
  }
  EXPECT_TRUE(model_->hidden(batch_).equal(by_outer));
  outer.offset(1, {});
  EXPECT_TRUE(model_->hidden(batch_).equal(plain));
}

TEST_F(TapsOfADecoder, SeeEveryExamplesOwnCopyOfTheSharedPrefix) {
  std::vector<Encoded> twins(2, rows_[0]);
  twins[1].ids.back() = 11;
  const Batch shared = model_->pack(twins);
  ASSERT_GT(shared.shared_prefix, 0);
  const at::Tensor plain = model_->log_probs(shared);
  Taps taps(*model_, Site::kAttention);
  EXPECT_LT(distance(model_->log_probs(shared), plain), 1e-12);
  EXPECT_EQ(taps.at(0).size(0), shared.ids.size(0));
}

TEST_F(TapsOfADecoder, SayWhatTheyWereAskedInVain) {
  EXPECT_EQ(message_of([&] { Taps(*model_, Site::kBlock, {0, 2}); }), "taps name layer 2, and the model has layers 0 to 1");
  EXPECT_EQ(message_of([&] { Taps(*model_, Site::kLinearInput, {}, "down_prj"); }),
            "taps name the linear \"down_prj\", which is no linear of a block. Did you mean \"down_proj\"?");
  EXPECT_THAT(message_of([&] { Taps(*model_, Site::kBlock, {}, "down_proj"); }), testing::HasSubstr("leave it out there"));
  EXPECT_TRUE(model_->listeners().empty()) << "one that was refused does not listen";
  Taps taps(*model_, Site::kBlock, {1});
  EXPECT_THAT(message_of([&] { taps.at(1); }), testing::HasSubstr("before a forward"));
  EXPECT_THAT(message_of([&] { taps.at(0); }), testing::HasSubstr("do not listen to layer 0; they listen to 1"));
  EXPECT_THAT(message_of([&] { taps.offset(7, at::zeros({1})); }), testing::HasSubstr("layer 7"));
  taps.offset(1, at::zeros({5, 32}));
  EXPECT_THAT(message_of([&] { sum(); }), testing::HasSubstr("the offset at layer 1 has shape [5, 32]"));
}

// Memory that a frozen model has of hidden states knows nothing of who listens.
TEST_F(TapsOfADecoder, GoAroundWhatAFrozenModelRemembers) {
  const std::vector<Conversation> asked = {fixtures::trained_rows()[0].messages};
  model_->freeze();
  const at::Tensor plain = model_->mean_hidden(asked);
  {
    Taps taps(*model_, Site::kBlock, {1});
    taps.offset(1, waves({32}, 0.5));
    EXPECT_GT(distance(model_->mean_hidden(asked), plain), 1e-3);
    EXPECT_TRUE(taps.at(1).defined());
  }
  EXPECT_TRUE(model_->mean_hidden(asked).equal(plain));
}

TEST(Taps, WorkInBfloat16) {
  const auto model = fixtures::adapted("grouped", at::kBFloat16);
  const Batch batch = model->pack({model->encode(fixtures::trained_rows()[0].messages)});
  const at::Tensor plain = model->log_probs(batch);
  Taps taps(*model, Site::kBlock, {0});
  EXPECT_TRUE(model->log_probs(batch).equal(plain));
  EXPECT_EQ(taps.at(0).scalar_type(), at::kBFloat16);
  taps.offset(0, at::zeros({32}, at::kFloat));
  EXPECT_TRUE(model->log_probs(batch).equal(plain));
  taps.offset(0, at::ones({32}, at::kFloat));
  EXPECT_FALSE(model->log_probs(batch).equal(plain));
}

}  // namespace
}  // namespace holdfast
