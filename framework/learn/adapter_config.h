// adapter_config.json: what is known of a PEFT LoRA adapter, and nothing else.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

class AdapterConfig {
 public:
  /// From the content of an adapter_config.json. Throws Error naming `source` and the key for every setting under which the
  /// model is not W + scale * B A with the tensors that are saved, and for keys that are not known, unless they say "off".
  AdapterConfig(Json values, std::string source);

  /// base_model_name_or_path as it is written; "" when there is none.
  std::string base() const;
  /// The names or paths of modules that were trained whole.
  std::vector<std::string> saved_modules() const;
  /// The leaf names that a list of target_modules gives; empty for other forms.
  std::vector<std::string> targets() const;
  std::int64_t rank() const;
  double alpha() const;
  /// The same of one module ("model.layers.0.self_attn.q_proj"), after rank_pattern and alpha_pattern.
  std::int64_t rank_of(const std::string& module) const;
  double scale_of(const std::string& module) const;

 private:
  Json from_pattern(const char* patterns, const std::string& module, const Json& otherwise) const;

  Json values_;
  std::string source_;
};

/// That of a folder.
AdapterConfig read_adapter_config(const fs::path& folder);

}  // namespace holdfast
