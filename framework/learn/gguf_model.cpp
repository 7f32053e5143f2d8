#include "learn/gguf_model.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include "learn/gguf_vocabulary.h"
#include "model/gguf_decoder.h"
#include "model/gguf_parts.h"
#include "model/placement.h"

namespace holdfast {
namespace {

FilesBeside files_in(const GgufFile& file, const fs::path& path) {
  const std::string source = path.string();
  const GgufMetadata metadata(file.metadata(), source);
  const GgufVocabulary vocabulary = gguf_vocabulary(metadata);
  const Json tokenizer = tokenizer_definition(vocabulary, source);

  Json settings = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  Json ids = {{"eos_token_id", gguf_stops(vocabulary, metadata)}};
  const auto name = [&](const char* token, const std::optional<std::int64_t>& id) {
    if (id && *id >= 0 && *id < static_cast<std::int64_t>(vocabulary.tokens.size())) {
      settings[token] = vocabulary.tokens[static_cast<std::size_t>(*id)];
    }
  };
  name("bos_token", vocabulary.bos);
  name("eos_token", vocabulary.eos);
  name("unk_token", vocabulary.unknown);
  name("pad_token", metadata.id("padding_token_id"));
  if (vocabulary.bos) ids["bos_token_id"] = *vocabulary.bos;

  FilesBeside files;
  files["tokenizer.json"] = {tokenizer.dump(), path};
  files["tokenizer_config.json"] = {settings.dump(2), path};
  files["generation_config.json"] = {ids.dump(2), path};
  files["config.json"] = {ids.dump(2), path};
  if (const auto text = metadata.get<std::string>("tokenizer.chat_template", ""); !text.empty()) {
    files["chat_template.jinja"] = {text, path};
  }
  return files;
}

}  // namespace

FilesBeside gguf_files_beside(const fs::path& path) { return files_in(read_gguf(path), path); }

GgufModel read_gguf_model(const fs::path& path, const std::vector<c10::Device>& devices, c10::ScalarType dtype) {
  const std::string source = path.string();
  const GgufFile file = read_gguf(path);
  GgufModel model;
  model.files = files_in(file, path);
  auto [config, weights] = read_gguf_decoder(file, source);
  const Placement placement(config, devices);
  for (auto& [tensor_name, tensor] : weights) tensor = tensor.to(placement.of(tensor_name), dtype);
  model.decoder = std::make_shared<Decoder>(config, std::move(weights), source);
  return model;
}

GgufModel read_gguf_around(const fs::path& path, NamedTensors weights) {
  const std::string source = path.string();
  const GgufFile file = read_gguf(path);
  return {std::make_shared<Decoder>(read_gguf_config(file, source), std::move(weights), source), files_in(file, path)};
}

}  // namespace holdfast
