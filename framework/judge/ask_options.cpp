// The settings that say where a model is that is asked, and how.
#include <holdfast/judge.h>

#include <cstdlib>

#include "judge/endpoint_address.h"

namespace holdfast {
namespace {

void check_key(Params& params, const std::string& variable, const std::string& endpoint) {
  const KeyTrouble trouble =
      trouble_with_key(variable, endpoint, "endpoint",
                       "the environment variable that \"key_env\" names (default OPENAI_API_KEY) is not set: export the "
                       "key, say key_env = \"\" for an endpoint without one, or replay = true to use a recording",
                       "the endpoint is http:// on another machine and the key would travel in the clear: use https://, "
                       "or key_env = \"\"");
  if (!trouble.setting.empty()) params.mistake(trouble.setting, trouble.sentence);
}

void read_endpoint(Params& params, AskOptions& options, const std::string& otherwise = {}) {
  options.endpoint = params.text("endpoint", "", "address of an OpenAI-compatible server, up to and with /v1" + otherwise);
  options.key_env =
      params.text("key_env", "OPENAI_API_KEY", "environment variable that holds the endpoint's key; \"\": it needs none");
  options.timeout = params.number("timeout", options.timeout, "seconds that one request may take", 0.01, 86400);
  options.retries = params.integer("retries", options.retries, "requests after the first for one answer", 0, 100);
  options.backoff =
      params.number("backoff", options.backoff, "retry n waits for a random part of this many seconds times 2^n", 0, 60);
  options.concurrency = params.integer("concurrency", options.concurrency, "requests of one worker at a time", 1, 256);
  options.recording = params.path("recording", "file of the endpoint's answers: those it has are used, new ones are added");
  options.replay = params.flag("replay", false, "answer from the recording alone; the endpoint is not asked");
  params.unkeyed({"key_env", "timeout", "retries", "backoff", "concurrency", "replay"});
  if (options.endpoint.empty()) {
    if (!options.recording.empty()) params.mistake("recording", "\"recording\" is for an endpoint, and there is none");
    if (options.replay) params.mistake("replay", "\"replay\" is for an endpoint, and there is none");
    return;
  }
  const std::string like = "\"https://HOST/v1\" or \"http://HOST:PORT/v1\"";
  if (const std::string trouble = trouble_with_address(options.endpoint, like); !trouble.empty()) {
    params.mistake("endpoint", "the endpoint's address " + trouble);
    return;
  }
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (options.replay && options.recording.empty())
    params.mistake("replay", "\"replay\" needs recording = \"file.jsonl\" to answer from");
  if (!options.replay && !options.key_env.empty()) check_key(params, options.key_env, options.endpoint);
}

}  // namespace

JudgeNeeds read_local_model(Params& params, const std::string& model) {
  JudgeNeeds needs;
  needs.model = model;
  needs.device = params.text("device", "cpu", "where a local model runs: cpu, cuda, cuda:N, cuda:A-B or auto");
  needs.dtype = params.choice("dtype", "default", {"default", "float32", "bfloat16", "float16"},
                              "numbers of a local model; default: float32 on the CPU, bfloat16 on CUDA");
  // The name of another accelerator is its library's to say, which the plan asks (learn/device.h).
  const bool other = std::getenv("HOLDFAST_ACCELERATOR") != nullptr;
  if (!other && needs.device != "cpu" && needs.device != "auto" && !needs.device.starts_with("cuda")) {
    params.mistake("device", "\"" + needs.device + "\" is no device, expected cpu, cuda, cuda:N, cuda:A-B or auto");
    needs.device = "cpu";
  }
  // The stage key holds the checkpoint's digest and the numerics instead.
  params.unkeyed({"device", "dtype"});
  if (!model.empty()) params.unkeyed({"model"});
  return needs;
}

AskOptions read_ask_options(Params& params) {
  AskOptions options;
  options.model = params.text("model", "", "path of a local model; with an endpoint, the model's name there");
  read_endpoint(params, options, "; absent: a local model");
  options.max_tokens = params.integer("max_tokens", 512, "longest answer, in tokens", 1);
  options.batch_size = params.integer("batch_size", 8, "questions that a local model is asked at a time", 1);
  options.needs = read_local_model(params, options.endpoint.empty() ? options.model : "");
  if (options.model.empty()) {
    params.mistake("model",
                   "this judge asks a model: give model = \"path\" of a local one, or endpoint = \"https://HOST/v1\" "
                   "and the model's name there");
  }
  return options;
}

AskOptions read_endpoint_options(Params& params) {
  AskOptions options;
  options.model = params.text("model", "", "the model's name at the endpoint");
  read_endpoint(params, options);
  options.max_tokens = params.integer("max_tokens", 512, "longest written answer, in tokens", 1);
  if (options.endpoint.empty() != options.model.empty()) {
    params.mistake(options.model.empty() ? "endpoint" : "model",
                   "\"endpoint\" and \"model\" go together: endpoint = \"https://HOST/v1\" and the model's name there");
  }
  return options;
}

}  // namespace holdfast
