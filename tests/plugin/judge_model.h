// A small model with room for a judge's prompt.
#pragma once

#include "learn/checkpoint_fixtures.h"

namespace holdfast::fixtures {

/// The fixture "grouped", whose checkpoint states a limit of 512 tokens, with another one.
inline std::unique_ptr<LanguageModel> grouped_with_room(std::int64_t tokens) {
  const std::shared_ptr<LanguageModel> grouped = load("grouped");
  ModelConfig config = grouped->decoder().config();
  config.max_positions = tokens;
  const auto decoder = std::make_shared<Decoder>(config, grouped->decoder().weights(), "the fixture with room");
  const std::shared_ptr<const Tokenizer> tokenizer(grouped, &grouped->tokenizer());
  const std::shared_ptr<const ChatTemplate> chat(grouped, &grouped->chat());
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, grouped->stop_tokens(), SideFiles());
}

}  // namespace holdfast::fixtures
