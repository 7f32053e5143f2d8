// What each architecture has whatever its size: a row of the table below is all that one more needs, as long as the decoder
// knows its traits.
#pragma once

#include <cstdint>

namespace holdfast {

/// The layers that see the last tokens only.
enum class Window {
  kNone,
  kEveryLayer,  // all of them, where "sliding_window" is set
  kSwitched,    // those from "max_window_layers" on, where "use_sliding_window" is true
  kPattern,     // all but each `full_every`-th, always
};

struct Architecture {
  const char* model_type;   // of config.json
  const char* model_class;  // "architectures" there
  const char* gguf;         // general.architecture; null: its files call themselves by another name

  // The decoder's traits (model/config.h). The defaults are Llama's.
  bool qkv_bias = false;
  bool qk_norm = false;
  bool outer_norms = false;
  bool offset_norms = false;
  bool gelu = false;
  bool scaled_embedding = false;  // by the root of the width
  bool sliding_rope = false;      // sliding layers have a theta of their own
  bool query_scalar = false;      // scores are divided by the root of a number of their own
  double score_cap = 0;           // that of a file that names none; 0: the architecture has no such cap
  double logit_cap = 0;           // that of a file that names none
  Window window = Window::kNone;
  std::int64_t full_every = 0;

  // What config.json leaves out.
  std::int64_t head_width = 0;  // 0: width / heads
  bool tied_head = false;
  double rope_theta = 10000;
  const char* activation_key = "hidden_act";
  const char* full_every_key = nullptr;  // null: no file can say otherwise

  // GGUF.
  bool gguf_interleaved = false;  // the converter interleaves the rotary halves of queries and keys
  std::int64_t gguf_window = 0;   // of a file that names none; 0: it has to
  std::int64_t gguf_largest = 0;  // layers of the size whose scores are divided by the root of width / heads
};

inline constexpr Architecture kArchitectures[] = {
    {.model_type = "llama", .model_class = "LlamaForCausalLM", .gguf = "llama", .gguf_interleaved = true},
    {.model_type = "mistral",
     .model_class = "MistralForCausalLM",
     .gguf = nullptr,  // "llama"
     .window = Window::kEveryLayer},
    {.model_type = "qwen2", .model_class = "Qwen2ForCausalLM", .gguf = "qwen2", .qkv_bias = true, .window = Window::kSwitched},
    {.model_type = "qwen3",
     .model_class = "Qwen3ForCausalLM",
     .gguf = "qwen3",
     .qk_norm = true,
     .window = Window::kSwitched,
     .head_width = 128},
    {.model_type = "gemma2",
     .model_class = "Gemma2ForCausalLM",
     .gguf = "gemma2",
     .outer_norms = true,
     .offset_norms = true,
     .gelu = true,
     .scaled_embedding = true,
     .query_scalar = true,
     .score_cap = 50,
     .logit_cap = 30,
     .window = Window::kPattern,
     .full_every = 2,
     .head_width = 256,
     .tied_head = true,
     .activation_key = "hidden_activation",
     .gguf_window = 4096,
     .gguf_largest = 46},
    {.model_type = "gemma3_text",
     .model_class = "Gemma3ForCausalLM",
     .gguf = "gemma3",
     .qk_norm = true,
     .outer_norms = true,
     .offset_norms = true,
     .gelu = true,
     .scaled_embedding = true,
     .sliding_rope = true,
     .query_scalar = true,
     .window = Window::kPattern,
     .full_every = 6,
     .head_width = 256,
     .tied_head = true,
     .rope_theta = 1e6,
     .activation_key = "hidden_activation",
     .full_every_key = "sliding_window_pattern",
     .gguf_largest = 62},
};

}  // namespace holdfast
