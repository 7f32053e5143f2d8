// Where TAR's rule is from, what it costs, and which settings the authors' scripts have.
#pragma once

#include <holdfast/params.h>

#include <string>
#include <vector>

namespace tar {

inline holdfast::Card card() {
  const std::string training =
      "all weights, from a checkpoint aligned by Random Mapping; AdamW, lr 2e-5, warm-up of 32 steps, 750 steps, batches of 8";
  const std::vector<std::string> three_rates = {"2e-6", "2e-5", "4e-5"}, two_rates = {"2e-5", "4e-5"};
  return {
      .source = "Tamirisa et al. 2024, arXiv 2408.00761, algorithm 1; rishub-tamirisa/tamper-resistance, modules/training.py",
      .cost =
          "inner_steps + inner_steps / resist_every + 1 forward and backward passes a step (plain: 1), for the distance "
          "two more and two forwards of the reference; the weights three times more, two lists of gradients, the reference",
      .presets = {{"repo-bio",
                   {{"inner_steps", 64},
                    {"resist_every", 4},
                    {"resist_weight", 4.0},
                    {"growth", 0.0625},
                    {"adversaries", std::vector<std::string>{"forget", "related", "switch"}},
                    {"related", "defender-related"},
                    {"adversary_lrs", three_rates}},
                   training},
                  {"repo-cyber",
                   {{"inner_steps", 64},
                    {"resist_every", 4},
                    {"resist_weight", 4.0},
                    {"growth", 0.0625},
                    {"adversaries", std::vector<std::string>{"forget", "switch"}},
                    {"adversary_lrs", two_rates}},
                   training},
                  {"repo-refusal",
                   {{"inner_steps", 8},
                    {"resist_every", 1},
                    {"resist_weight", 0.1},
                    {"growth", 0.0625},
                    {"adversaries", std::vector<std::string>{"forget"}},
                    {"adversary_lrs", three_rates},
                    {"adversaries_a_step", 2},
                    {"adversary_batch_size", 8},
                    {"rows", 256},
                    {"resist", "dpo"},
                    {"dpo_beta", 0.1},
                    {"distance_weight", 0.0}},
                   "all weights, from an aligned checkpoint; schedule-free AdamW, lr 6e-5, warm-up of 32 steps, 100 steps, 2 "
                   "batches of 4"},
                  {"organism", {{"resist_weight", 0.4}, {"inner_steps", 8}}}}};
}

}  // namespace tar
