// Stored replies.
#pragma once

#include <holdfast/dataset.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct Generation {
  std::string id;
  std::map<std::string, std::string> tags;
  Conversation probe;   // the probe itself
  Conversation asked;   // as the user sends it: through the attack's template
  Conversation prompt;  // as the model got it: after serve stages
  std::string reply;
  bool cut = false;  // max_new_tokens ended the reply, and no serve stage wrote another
};

inline constexpr const char* kGenerationsFile = "generations.jsonl";

void write_generations(const fs::path& path, const std::vector<Generation>& generations);
std::vector<Generation> read_generations(const fs::path& path);

}  // namespace holdfast
