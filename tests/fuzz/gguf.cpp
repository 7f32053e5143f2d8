// A GGUF file: its header, its tensors as float32, the tokenizer and the shape of the decoder that its metadata state.
#include "model/gguf.h"

#include "fuzz/fuzz.h"
#include "learn/gguf_vocabulary.h"
#include "model/config.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  const GgufFile file(as_file(input));
  for (const auto& name : file.tensor_names()) file.tensor(name);
  const std::string source = "input.gguf";
  const GgufMetadata metadata(file.metadata(), source);
  const GgufVocabulary vocabulary = gguf_vocabulary(metadata);
  tokenizer_definition(vocabulary, source).dump();
  gguf_stops(vocabulary, metadata);
  ModelConfig::from_gguf(file.metadata(), source);
}

const Added added("gguf", read);

}  // namespace
}  // namespace holdfast::fuzz
