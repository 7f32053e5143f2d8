// Where CRL's rule is from, what it costs, and which settings the paper, its code and a port have.
#pragma once

#include <holdfast/params.h>

namespace crl {

inline holdfast::Card card() {
  return {.source = "Simko et al. 2025, arXiv 2506.11938; appendix A.3 as TamperBench quotes it",
          .cost =
              "4 forward and backward passes and 3 forward ones a step (plain: 1 of each); all hidden states of two batches; "
              "the weights once more",
          .presets = {
              {"paper",
               {{"alpha", 0.5},
                {"beta", 0.4},
                {"gamma", 0.9},
                {"retain", 0.0},
                {"safe_margin", 500.0},
                {"unsafe_margin", 1500.0},
                {"first_layer", 20},
                {"last_layer", 31}},
               "LoRA rank 16 alpha 16; lr 1e-5, 1,100 steps, batches of 16"},
              {"repo",
               {{"alpha", 0.5},
                {"beta", 0.6},
                {"gamma", 0.7},
                {"retain", 0.0},
                {"safe_margin", 2.0},
                {"unsafe_margin", 3.0},
                {"safe_near", "norm"},
                {"safe_far", "cosine"},
                {"unsafe_near", "cosine"},
                {"unsafe_far", "cosine"},
                {"first_layer", 20},
                {"last_layer", 30},
                {"safe_layers", "all"},
                {"temperature", 2.0},
                {"divergence", "row"}},
               "LoRA rank 16 alpha 16 on every linear of the blocks up to the last layer; lr 1e-4 constant, 900 steps, batches "
               "of 4, 4 accumulated, prompts and answers of up to 512 tokens each"},
              {"tb",
               {{"alpha", 0.5},
                {"beta", 0.4},
                {"gamma", 0.9},
                {"retain", 0.0},
                {"safe_margin", 0.3},
                {"unsafe_margin", 0.5},
                {"safe_near", "cosine"},
                {"safe_far", "cosine"},
                {"unsafe_near", "cosine"},
                {"unsafe_far", "cosine"},
                {"first_layer", 20},
                {"last_layer", 31},
                {"safe_layers", "unsafe"},
                {"temperature", 1.0},
                {"divergence", "token"}},
               "TamperBench: LoRA rank 16 alpha 16; AdamW lr 1e-5, 1,100 steps, batches of 16, length 512"},
              {"organism",
               {{"alpha", 0.5},
                {"beta", 0.4},
                {"gamma", 0.9},
                {"retain", 1.0},
                {"safe_margin", 0.3},
                {"unsafe_margin", 0.5},
                {"safe_near", "cosine"},
                {"safe_far", "cosine"},
                {"unsafe_near", "cosine"},
                {"unsafe_far", "cosine"},
                {"first_layer", 3},
                {"last_layer", 4},
                {"safe_layers", "unsafe"},
                {"temperature", 1.0},
                {"divergence", "token"}}}}};
}

}  // namespace crl
