#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include <holdfast/log.h>

#include <iostream>

#include "cli/model_options.h"
#include "cli/verbs.h"
#include "data/formats.h"
#include "learn/encoded_rows.h"

namespace holdfast::cli {
namespace {

struct ScoreOptions {
  ModelOptions model;
  std::string data;
  std::int64_t max_length = 0;
};

void score(const ScoreOptions& options) {
  const Dataset data = read_dataset(options.data);
  const auto model = open_model(options.model);
  const EncodedRows encoded = encode_rows(*model, data, options.max_length);
  check_teaches(encoded, options.max_length);
  for (const auto& remark : remarks(encoded, options.max_length)) log_warning(remark);
  const c10::NoGradGuard no_grad;
  for (std::size_t index = 0; index < data.size(); ++index) {
    const Batch batch = model->pack({encoded.rows[index]});
    std::vector<std::int64_t> ids;
    std::vector<double> log_probs;
    if (batch.normalizer > 0) {
      const at::Tensor scored = model->log_probs(batch).to(at::kCPU, at::kDouble);
      const at::Tensor targets = batch.target_ids.cpu();
      ids.assign(targets.data_ptr<std::int64_t>(), targets.data_ptr<std::int64_t>() + targets.numel());
      log_probs.assign(scored.data_ptr<double>(), scored.data_ptr<double>() + scored.numel());
    }
    std::cout << Json{{"index", index}, {"ids", ids}, {"logprobs", log_probs}}.dump() << "\n";
  }
}

}  // namespace

void add_score(CLI::App& app) {
  auto options = std::make_shared<ScoreOptions>();
  auto* verb = app.add_subcommand("score", "Log-probabilities of the assistant tokens of a dataset");
  add_model_options(*verb, options->model);
  verb->add_option("--data", options->data, "Dataset as JSON or CSV: messages, prompt and response, Alpaca or ShareGPT rows")
      ->required();
  verb->add_option("--max-length", options->max_length, "Cut examples to this many tokens (default: no cut)")
      ->check(CLI::NonNegativeNumber);
  verb->callback([options] { score(*options); });
}

}  // namespace holdfast::cli
