// Asking a model through serve stages.
#pragma once

#include <holdfast/defense.h>

#include <memory>
#include <string>
#include <vector>

#include "results/generations.h"

namespace holdfast {

/// A serve stage with its plugin's name, for messages.
struct NamedServe {
  std::string plugin;
  ServeStage* stage;
};

/// One conversation on its way through all serve stages of a model, in and out again, in the order in which the nodes of a
/// matrix's chain guard it (Serving::guard): the same model's reply comes out as the same text.
class Passage {
 public:
  /// Goes in. `stages`: nearest to the model first; they and the context outlive it.
  Passage(const Conversation& asked, const std::vector<NamedServe>& stages, Context& context);

  /// What the model has to answer; nothing where a stage did.
  const Conversation* prompt() const { return answered_ ? nullptr : &innermost_; }
  struct Reply {
    std::string text;
    bool cut = false;
  };
  /// Goes out with the model's reply, or with nothing where it has none to give. `cut` as Generation has it.
  Reply out(Reply reply);

 private:
  struct Level {
    const NamedServe* stage;
    Exchange exchange;  // as it went on inwards
    bool as_inner;      // an outer stage had rewritten the prompt
  };

  std::vector<Level> levels_;  // outermost first
  Conversation innermost_;
  bool answered_ = false;
  std::unique_ptr<Context> unreported_;
  Context& context_;
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

  const Model& model_;
  const GenerateOptions& options_;
  std::vector<NamedServe> inner_;
  Context* context_;
  std::int64_t tokens_ = 0;
};

}  // namespace holdfast
