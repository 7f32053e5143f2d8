#include <holdfast/error.h>

#include <iostream>

#include "cli/declared_options.h"
#include "cli/model_options.h"
#include "cli/verbs.h"
#include "data/formats.h"
#include "learn/training_options.h"

namespace holdfast::cli {
namespace {

struct GenerateVerbOptions {
  ModelOptions model;
  std::string prompts;
  GenerateOptions generate;
};

// The turns up to the last user turn: a dataset's own answers are not part of the question.
Conversation question(Conversation conversation, const std::string& place) {
  while (!conversation.empty() && conversation.back().role != "user") conversation.pop_back();
  if (conversation.empty()) throw Error(place + " has no user turn to answer");
  return conversation;
}

// What the chat template refuses is named by its row, before any reply.
void check_prompt(const LanguageModel& model, const Conversation& prompt, const std::string& place) {
  try {
    model.chat().render(prompt, true);
  } catch (const Error& error) {
    throw Error(place + ": " + error.what());
  }
}

void generate(const GenerateVerbOptions& options) {
  const Dataset data = read_dataset(options.prompts);
  std::vector<Conversation> prompts;
  for (const auto& example : data) prompts.push_back(question(example.messages, example.origin));
  const auto model = open_model(options.model);
  for (std::size_t index = 0; index < data.size(); ++index) check_prompt(*model, prompts[index], data[index].origin);
  const auto replies = model->generate(prompts, options.generate);
  for (std::size_t index = 0; index < replies.size(); ++index) {
    const auto& [text, ids, cut] = replies[index];
    std::cout << canonical({{"index", index}, {"reply", text}, {"ids", ids}, {"cut", cut}}) << "\n";
  }
}

}  // namespace

void add_generate(CLI::App& app) {
  auto options = std::make_shared<GenerateVerbOptions>();
  auto* verb = app.add_subcommand("generate", "Replies to the last user turn of each row");
  add_model_options(*verb, options->model);
  verb->add_option("--prompts", options->prompts, "Dataset of prompts")->required();
  add_declared_options(*verb, generate_options(), options->generate);
  verb->add_option("--seed", options->generate.seed, "Seed of sampling (default: 0)");
  verb->callback([options] { generate(*options); });
}

}  // namespace holdfast::cli
