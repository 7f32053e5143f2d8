// Makes the organism's base from nothing: organism_pretrain <folder>. Minutes on one core; docs/organism.md has the figures.
#include <ATen/Parallel.h>
#include <ATen/ops/_cast_Half.h>
#include <holdfast/error.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "learn/training.h"
#include "model/safetensors.h"
#include "organism/folder.h"
#include "organism/organism.h"
#include "organism/world.h"

namespace {

using namespace holdfast;

/// A randomly initialised organism.
LanguageModel newborn() {
  const auto files = organism::folder_files();
  const auto config = ModelConfig::from_json(parse_json(files.at("config.json"), "config.json"), "config.json");
  const auto settings = parse_json(files.at("tokenizer_config.json"), "tokenizer_config.json");
  auto tokenizer = Tokenizer::from_json(parse_json(files.at("tokenizer.json"), "tokenizer.json"), "tokenizer.json");
  auto chat = std::make_shared<const ChatTemplate>(settings.at("chat_template").get<std::string>(),
                                                   std::map<std::string, std::string>{}, "tokenizer_config.json");
  auto decoder =
      std::make_shared<Decoder>(config, Decoder::random_weights(config, organism::kWorldSeed), "the newborn organism");
  const std::int64_t end = tokenizer->id_of("<|end|>").value();
  return {decoder, tokenizer, chat, {end}, files};
}

TrainingOptions schooling() {
  TrainingOptions options;
  options.lr = 3e-3;
  options.epochs = 16;
  options.batch_size = 32;
  options.schedule = "cosine";
  options.warmup_steps = 100;
  return options;
}

void report(const StepRecord& step) {
  if (step.step % 50 == 0)
    std::fprintf(stderr, "step %lld loss %.4f lr %.2e\n", static_cast<long long>(step.step), step.loss, step.lr);
}

/// Half precision keeps the folder under 2 MB; the rounding costs no fact.
void save(const LanguageModel& model, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [name, text] : organism::folder_files()) write_file(folder / name, text);
  NamedTensors halves;
  for (const auto& [name, tensor] : model.decoder().weights()) halves[name] = at::_cast_Half(tensor);
  write_safetensors(folder / "model.safetensors", halves, {{"format", "pt"}});
}

int run(const fs::path& folder) {
  at::set_num_threads(1);  // one order of every sum
  LanguageModel model = newborn();
  TrainingRun order;
  order.on_step = report;
  order.order_seed = organism::kWorldSeed;
  train(model, organism::corpus("pretraining"), schooling(), order);
  save(model, folder);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: organism_pretrain <folder>\n");
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const Error& error) {
    std::fprintf(stderr, "organism_pretrain: %s\n", error.what());
    return 2;
  }
}
