#include "cli/model_options.h"

#include <ATen/Parallel.h>

namespace holdfast::cli {

void add_model_options(CLI::App& verb, ModelOptions& options) {
  verb.add_option("--model", options.model, "organism, a GGUF file, a Hugging Face folder or an adapter folder")->required();
  verb.add_option("--device", options.load.device,
                  "cpu, cuda, cuda:N, cuda:A-B, the accelerator of HOLDFAST_ACCELERATOR, or auto (default: cpu)");
  verb.add_option("--dtype", options.load.dtype, "float32, bfloat16 or float16 (default: float32, on an accelerator bfloat16)");
  verb.add_option("--threads", options.threads, "CPU threads (default: all cores)")->check(CLI::Range(0, 1024));
}

std::unique_ptr<LanguageModel> open_model(const ModelOptions& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  return load_model(options.model, options.load);
}

}  // namespace holdfast::cli
