// adapter_config.json, and what it says of modules.
#include "learn/adapter_config.h"

#include "fuzz/fuzz.h"
#include "learn/json_file.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  const char* source = "adapter_config.json";
  const AdapterConfig config(json_content(std::string(input), source), source);
  config.base();
  config.saved_modules();
  config.targets();
  config.alpha();
  for (const char* module : {"model.layers.0.self_attn.q_proj", "model.layers.11.mlp.down_proj", "lm_head"}) {
    config.scale_of(module);
  }
}

const Added added("adapter_config", read);

}  // namespace
}  // namespace holdfast::fuzz
