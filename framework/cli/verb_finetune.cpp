#include <holdfast/error.h>
#include <holdfast/log.h>
#include <holdfast/random.h>

#include <fstream>
#include <iostream>

#include "cli/declared_options.h"
#include "cli/model_options.h"
#include "cli/verbs.h"
#include "data/formats.h"
#include "learn/export.h"
#include "learn/training.h"
#include "learn/training_options.h"

namespace holdfast::cli {
namespace {

struct FinetuneOptions {
  ModelOptions model;
  std::string data;
  std::string out;
  TrainingOptions training;
  std::uint64_t seed = 0;
  double checkpoint_seconds = 300;
};

fs::path fresh_folder(const std::string& out) {
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure) throw Error("cannot make the folder " + out + ": " + failure.message());
  return out;
}

std::string starting_weights(const ModelOptions& model) {
  return canonical({{"model", checkpoint_digest(model.model)}, {"device", model.load.device}, {"dtype", model.load.dtype}});
}

void finetune(const FinetuneOptions& options) {
  const Dataset data = read_dataset(options.data);
  const fs::path folder = fresh_folder(options.out);
  const bool to_adapter = options.training.method == "lora" && !is_adapter(options.model.model);
  refuse_folder_of(options.model.model, folder);
  check_export_folder(folder, to_adapter);
  const auto model = open_model(options.model);
  std::ofstream log(folder / "train.jsonl");
  if (!log) throw Error("cannot write " + (folder / "train.jsonl").string());
  TrainingRun run;
  run.order_seed = derive_seed(options.seed, "order");
  run.init_seed = derive_seed(options.seed, "init");
  run.on_step = [&](const StepRecord& step) {
    log << Json{{"step", step.step}, {"loss", step.loss}, {"lr", step.lr}, {"tokens", step.tokens}}.dump() << std::endl;
  };
  run.checkpoint = {folder / "training.safetensors", options.checkpoint_seconds,
                    [&] { return starting_weights(options.model); }};
  const auto records = train(*model, data, options.training, run);
  if (to_adapter) {
    save_adapter(*model, adapter_base_for(*model, options.model.model, folder), folder);
  } else {
    save_checkpoint(*model, folder);
  }
  fs::remove(run.checkpoint.file);
  log_info(std::to_string(records.size()) + " steps, last loss " + Json(records.back().loss).dump() + ", written to " +
           folder.string());
}

}  // namespace

void add_finetune(CLI::App& app) {
  auto options = std::make_shared<FinetuneOptions>();
  auto* verb = app.add_subcommand("finetune", "Trains on the assistant tokens and writes a Hugging Face or PEFT folder");
  add_model_options(*verb, options->model);
  verb->add_option("--data", options->data, "Dataset as JSON or CSV: messages, prompt and response, Alpaca or ShareGPT rows")
      ->required();
  verb->add_option("--out", options->out, "Folder for the weights and train.jsonl")->required();
  add_declared_options(*verb, training_options(), options->training);
  verb->add_option("--seed", options->seed, "Seed of order and LoRA's start (default: 0)");
  verb->add_option("--checkpoint-seconds", options->checkpoint_seconds,
                   "Seconds between checkpoints, from which the same command goes on when it was stopped (default: 300)")
      ->check(CLI::NonNegativeNumber);
  verb->callback([options] { finetune(*options); });
}

}  // namespace holdfast::cli
