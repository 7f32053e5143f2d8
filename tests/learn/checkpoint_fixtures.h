// The small checkpoints of tests/fixtures/llama and tests/fixtures/architectures, and what transformers and peft make of them
// (expected.json).
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "data/formats.h"
#include "learn/checkpoint.h"

namespace holdfast::fixtures {

/// A folder or file by its name, which is unlike every other in the two places.
inline fs::path checkpoint(const std::string& name) {
  const fs::path fixtures = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures", first = fixtures / "llama" / name;
  return fs::exists(first) ? first : fixtures / "architectures" / name;
}

inline const Json& expected() {
  static const Json json = [] {
    const fs::path fixtures = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures";
    Json all = parse_json(read_file(fixtures / "llama/expected.json"), "expected.json");
    all.update(parse_json(read_file(fixtures / "architectures/expected.json"), "expected.json"));
    return all;
  }();
  return json;
}

inline std::unique_ptr<LanguageModel> load(const std::string& name) { return load_model(checkpoint(name).string(), {}); }

inline Conversation conversation(const Json& messages) { return example_from_json(messages, "the fixture").messages; }

inline Dataset dataset(const Json& rows) {
  Dataset data;
  for (const auto& messages : rows) data.push_back(example_from_json(messages, "the fixture"));
  return data;
}

/// The seven conversations that the reference trained on.
inline Dataset trained_rows() { return dataset(expected()["grouped"]["training"]["data"]); }

inline at::Tensor log_probs(LanguageModel& model, const Conversation& messages) {
  const c10::NoGradGuard no_grad;
  return model.log_probs(model.pack({model.encode(messages)}));
}

/// Largest absolute difference; shapes must agree.
inline double distance(const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "shapes differ");
  return a.numel() == 0 ? 0 : (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

/// What tests/fixtures/checkpoints holds: files that say things in unusual places, and what transformers and PEFT make of them.
inline const Json& elsewhere() {
  static const Json json =
      parse_json(read_file(fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/checkpoints/expected.json"), "expected.json");
  return json;
}

/// Log-probabilities of every token but the first of the conversation there, whatever of it is learned.
inline at::Tensor whole_log_probs(LanguageModel& model) {
  const c10::NoGradGuard no_grad;
  const auto ids = elsewhere()["ids"].get<std::vector<std::int64_t>>();
  return model.log_probs(model.pack({{ids, std::vector<bool>(ids.size(), true)}}));
}
inline at::Tensor found_elsewhere(const Json& values) { return at::tensor(values.get<std::vector<double>>(), at::kDouble); }
inline at::Tensor found_elsewhere(const char* key) { return found_elsewhere(elsewhere()[key]); }

inline std::vector<std::int64_t> ids_of(const at::Tensor& ids) {
  return {ids.data_ptr<std::int64_t>(), ids.data_ptr<std::int64_t>() + ids.numel()};
}

/// The same model in float64, where finite differences mean something.
inline std::unique_ptr<LanguageModel> in_float64(const std::shared_ptr<const LanguageModel>& model) {
  NamedTensors weights;
  for (const auto& [name, tensor] : model->decoder().weights()) weights[name] = tensor.to(at::kDouble);
  auto decoder = std::make_shared<Decoder>(model->decoder().config(), std::move(weights), "the float64 copy");
  const std::shared_ptr<const ChatTemplate> chat(model, &model->chat());
  const std::shared_ptr<const Tokenizer> tokenizer(model, &model->tokenizer());
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, model->stop_tokens(), SideFiles());
}

}  // namespace holdfast::fixtures
