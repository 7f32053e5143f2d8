#include "provider/hyperparameters.h"

#include <holdfast/error.h>

#include <algorithm>

#include "learn/training_options.h"

namespace holdfast {
namespace {

using Said = Hyperparameter::Said;

const Hyperparameter* find(const Dialect& dialect, const std::string& option) {
  const auto& all = dialect.hyperparameters;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.option == option; });
  return found == all.end() ? nullptr : &*found;
}

const Json* word_for(const Hyperparameter& parameter, const Json& value) {
  const auto& words = parameter.words;
  const auto found = std::find_if(words.begin(), words.end(), [&](const auto& word) { return value == word.first; });
  return found == words.end() ? nullptr : &found->second;
}

// Whether the interface has words for the option's value.
bool can_say(const Hyperparameter* parameter, const Json& value, bool lora) {
  if (parameter == nullptr) return false;
  if (parameter->said == Said::kWithLora) return lora;
  return parameter->said != Said::kInWords || word_for(*parameter, value) != nullptr;
}

void say(Json& said, const Hyperparameter& parameter, const Json& value, bool is_set, double base_lr) {
  if (parameter.said == Said::kIfSet && !is_set) return;
  if (parameter.said == Said::kMultiplier) {
    HOLDFAST_CHECK(base_lr > 0);
    said[parameter.place] = value.get<double>() / base_lr;
  } else if (parameter.said == Said::kInWords) {
    if (const Json& word = *word_for(parameter, value); !word.is_null()) said[parameter.place] = word;
  } else {
    said[parameter.place] = value;
  }
}

}  // namespace

Json hyperparameters(const Dialect& dialect, const TrainingOptions& options, double base_lr) {
  const bool lora = options.method == "lora";
  const TrainingOptions defaults;
  Json said = Json::object();
  std::string unsaid;
  for (const auto& option : training_options()) {
    const Json value = option.value(options);
    const bool is_set = value != option.value(defaults);
    const Hyperparameter* parameter = find(dialect, option.name);
    if (can_say(parameter, value, lora)) {
      say(said, *parameter, value, is_set, base_lr);
    } else if (is_set) {
      unsaid += (unsaid.empty() ? "" : ", ") + option.name + " = " + value.dump();
    }
  }
  if (!unsaid.empty()) {
    throw Error("the provider's interface \"" + dialect.name + "\" has no words for " + unsaid +
                ": leave that out, so that the provider's own way counts");
  }
  return said;
}

}  // namespace holdfast
