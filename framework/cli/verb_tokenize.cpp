#include <holdfast/error.h>

#include <iostream>

#include "cli/model_options.h"
#include "cli/verbs.h"
#include "data/formats.h"

namespace holdfast::cli {
namespace {

struct TokenizeOptions {
  ModelOptions model;
  bool generation_prompt = false;
};

std::vector<std::int64_t> ids_of(const LanguageModel& model, const Json& row, bool generation_prompt,
                                 const std::string& place) {
  std::string text;
  bool add_special = false;
  if (row.is_object() && row.contains("text") && row["text"].is_string()) {
    text = row["text"].get<std::string>();
    add_special = true;
  } else if (row.is_object() && row.contains("messages")) {
    text = model.chat().render(example_from_json(row, place).messages, generation_prompt);
  } else {
    throw Error(place + ": expected {\"text\": ...} or {\"messages\": [...]}, found " + row.dump().substr(0, 80));
  }
  std::vector<std::int64_t> ids;
  for (const auto& token : model.tokenizer().encode(text, add_special)) ids.push_back(token.id);
  return ids;
}

void tokenize(const TokenizeOptions& options) {
  const auto model = open_model(options.model);
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = "stdin:" + std::to_string(number);
    std::cout << Json{{"ids", ids_of(*model, parse_json(line, place), options.generation_prompt, place)}}.dump() << "\n";
  }
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  auto* verb = app.add_subcommand("tokenize", "Token ids of texts or chats: JSONL on stdin, {\"ids\"} a line on stdout");
  add_model_options(*verb, options->model);
  verb->add_flag("--generation-prompt", options->generation_prompt, "End chats with the opening of an assistant turn");
  verb->callback([options] { tokenize(*options); });
}

}  // namespace holdfast::cli
