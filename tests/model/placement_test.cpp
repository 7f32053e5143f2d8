#include "model/placement.h"

#include <gmock/gmock.h>

#include "model/decoder_weights.h"

namespace holdfast {
namespace {

ModelConfig config_of(std::int64_t layers, std::int64_t vocabulary) {
  const Json json = {
      {"model_type", "llama"},    {"hidden_act", "silu"},          {"vocab_size", vocabulary},    {"hidden_size", 64},
      {"intermediate_size", 128}, {"num_hidden_layers", layers},   {"num_attention_heads", 4},    {"num_key_value_heads", 4},
      {"rms_norm_eps", 1e-5},     {"max_position_embeddings", 64}, {"tie_word_embeddings", false}};
  return ModelConfig::from_json(json, "the test");
}

std::vector<c10::Device> devices(int count) {
  std::vector<c10::Device> made;
  for (int i = 0; i < count; ++i) made.emplace_back(c10::kCUDA, static_cast<c10::DeviceIndex>(i));
  return made;
}

std::vector<int> blocks_by_device(const ModelConfig& config, int count) {
  const Placement placement(config, devices(count));
  std::vector<int> blocks(static_cast<std::size_t>(count));
  int last = 0;
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const int here = placement.of(layer_name(l) + "mlp.up_proj.weight").index();
    EXPECT_EQ(placement.of(layer_name(l) + "input_layernorm.weight").index(), here) << "block " << l;
    EXPECT_GE(here, last) << "block " << l;  // a forward never goes back
    last = here;
    ++blocks[static_cast<std::size_t>(here)];
  }
  return blocks;
}

TEST(Placement, SharesBlocksEvenly) { EXPECT_THAT(blocks_by_device(config_of(32, 8), 4), testing::ElementsAre(8, 8, 8, 8)); }

TEST(Placement, GivesTheFirstDeviceFewerBlocksForEmbeddingAndHead) {
  // A block has 4 * 64 * 64 + 3 * 64 * 128 numbers and two norms; so many words make embedding and head as large as four.
  const std::int64_t words = 4 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) / (2 * 64);
  EXPECT_THAT(blocks_by_device(config_of(12, words), 2), testing::ElementsAre(4, 8));
}

TEST(Placement, KeepsWhatBelongsToNoBlockOnTheFirst) {
  const Placement placement(config_of(4, 8), devices(2));
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}) {
    EXPECT_EQ(placement.of(name).index(), 0) << name;
  }
  EXPECT_EQ(placement.of(layer_name(3) + "self_attn.q_proj.weight").index(), 1);
}

TEST(Placement, UsesOneDeviceForAll) { EXPECT_THAT(blocks_by_device(config_of(5, 8), 1), testing::ElementsAre(5)); }

}  // namespace
}  // namespace holdfast
