// Asking a model through serve stages.
#pragma once

#include <holdfast/defense.h>

#include <string>
#include <vector>

#include "results/generations.h"

namespace holdfast {

/// A serve stage with its plugin's name, for messages.
struct NamedServe {
  std::string plugin;
  ServeStage* stage;
};

class Serving {
 public:
  /// `inner`: the serve stages between the model and the outermost one, nearest to the model first.
  Serving(const Model& model, const GenerateOptions& options, std::vector<NamedServe> inner, Context* context)
      : model_(model), options_(options), inner_(std::move(inner)), context_(context) {}

  /// The model's replies to prompts as they are.
  void answer(std::vector<Generation>& generations);
  /// Puts `outer` before stored replies: only prompts that it rewrites are generated again, through the inner stages.
  void guard(std::vector<Generation>& generations, const NamedServe& outer);

  std::int64_t tokens() const { return tokens_; }

 private:
  // Beside each exchange: whether its reply is the model's own and was cut at max_new_tokens.
  using Cut = std::vector<bool>;

  void ask(std::vector<Exchange>& exchanges, Cut& cut, std::size_t stages);
  void before(std::vector<Exchange>& exchanges, const NamedServe& serve, Context& context);
  void after(std::vector<Exchange>& exchanges, Cut& cut, const NamedServe& serve, Context& context);

  const Model& model_;
  const GenerateOptions& options_;
  std::vector<NamedServe> inner_;
  Context* context_;
  std::int64_t tokens_ = 0;
};

}  // namespace holdfast
