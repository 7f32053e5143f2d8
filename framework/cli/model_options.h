// Options shared by the verbs that load one model by hand.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "learn/checkpoint.h"

namespace holdfast::cli {

struct ModelOptions {
  std::string model;
  LoadOptions load;
  int threads = 0;
};

/// Adds --model, --device, --dtype and --threads.
void add_model_options(CLI::App& verb, ModelOptions& options);

/// Sets the threads and loads the model.
std::unique_ptr<LanguageModel> open_model(const ModelOptions& options);

}  // namespace holdfast::cli
