#include "model/config.h"

#include <holdfast/error.h>

#include <cmath>

namespace holdfast {

const Architecture* find_architecture(const char* Architecture::*names, const std::string& name, std::string& known) {
  for (const Architecture& architecture : kArchitectures) {
    const char* theirs = architecture.*names;
    if (theirs == nullptr) continue;
    if (name == theirs) return &architecture;
    known += (known.empty() ? "" : ", ") + std::string(theirs);
  }
  return nullptr;
}

void set_traits(ModelConfig& c) {
  const Architecture& its = *c.architecture;
  c.qkv_bias = its.qkv_bias;
  c.qk_norm = its.qk_norm;
  c.outer_norms = its.outer_norms;
  c.offset_norms = its.offset_norms;
  c.gelu = its.gelu;
  if (its.scaled_embedding) c.embedding_scale = std::sqrt(static_cast<double>(c.width));
}

void check_heads(const ModelConfig& config, const std::string& source) {
  if (config.heads % config.kv_heads != 0) {
    throw Error(source + ": " + std::to_string(config.heads) + " attention heads cannot share " +
                std::to_string(config.kv_heads) + " key-value heads evenly");
  }
  if (config.head_width < 1) {
    throw Error(source + ": " + std::to_string(config.heads) + " attention heads cannot share a width of " +
                std::to_string(config.width));
  }
  if (config.head_width % 2 != 0) {
    throw Error(source + ": the head width is " + std::to_string(config.head_width) + ", rotary positions need an even one");
  }
}

}  // namespace holdfast
