#include "organism/pretraining.h"

#include "base/json.h"
#include "organism/folder.h"
#include "organism/world.h"

namespace holdfast::organism {

LanguageModel newborn() {
  const auto files = folder_files();
  const auto config = ModelConfig::from_json(parse_json(files.at("config.json"), "config.json"), "config.json");
  const auto settings = parse_json(files.at("tokenizer_config.json"), "tokenizer_config.json");
  auto tokenizer = Tokenizer::from_json(parse_json(files.at("tokenizer.json"), "tokenizer.json"), "tokenizer.json");
  auto chat = std::make_shared<const ChatTemplate>(settings.at("chat_template").get<std::string>(),
                                                   std::map<std::string, std::string>{}, "tokenizer_config.json");
  auto decoder = std::make_shared<Decoder>(config, Decoder::random_weights(config, kWorldSeed), "the newborn organism");
  const std::int64_t end = tokenizer->id_of("<|end|>").value();
  return {decoder, tokenizer, chat, {end}, files};
}

TrainingOptions pretraining_options() {
  TrainingOptions options;
  options.lr = 3e-3;
  options.epochs = 16;
  options.batch_size = 32;
  options.schedule = "cosine";
  options.warmup_steps = 100;
  return options;
}

}  // namespace holdfast::organism
