#include "learn/model_folder.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "base/untrusted.h"
#include "learn/json_file.h"
#include "model/decoder_weights.h"
#include "model/placement.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

// What lies in a folder in place of weights that are read.
std::string instead_of_weights(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string(), kind = entry.path().extension().string();
    if (kind == ".bin" || kind == ".pt" || kind == ".pth" || kind == ".ckpt") {
      return "; its " + name + " is pickled, and pickles are never read: save it again as safetensors";
    }
    if (kind == ".gguf") return "; name its GGUF file itself: " + entry.path().string();
    if (kind == ".safetensors") return "; its " + name + " has another name than the folder's index or model.safetensors";
    if (kind == ".msgpack" || kind == ".h5" || kind == ".onnx") return "; its " + name + " is a format that is not read";
  }
  return "";
}

std::vector<fs::path> indexed_files(const fs::path& folder, const fs::path& index) {
  const Json json = json_file(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error(index.string() + " has no \"weight_map\" table");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      throw Error(index.string() + ": the shard of \"" + tensor + "\" is " + file.dump() + ", expected a file name");
    }
    names.insert(file.get<std::string>());
  }
  std::vector<fs::path> paths;
  for (const auto& name : names) {
    if (!is_there(folder / name)) throw Error(folder.string() + " lacks the shard " + name + " that its index names");
    paths.push_back(folder / name);
  }
  return paths;
}

NamedTensors read_weights(const fs::path& folder) {
  NamedTensors weights;
  for (const auto& path : weight_files(folder)) {
    for (auto& [name, tensor] : read_safetensors(path).tensors) {
      if (!weights.emplace(name, tensor).second)
        throw Error(path.string() + " repeats tensor \"" + name + "\" of another shard");
    }
  }
  return weights;
}

// Some writers store a tied head a second time, and some merge an adapter into it and leave the flag.
void settle_head(ModelConfig& config, NamedTensors& weights) {
  const auto head = weights.find(kHeadWeight), embedding = weights.find(kEmbeddingWeight);
  if (!config.tied_head || head == weights.end() || embedding == weights.end()) return;
  config.tied_head = at::equal(head->second, embedding->second);
  if (config.tied_head) weights.erase(head);
}

ModelConfig config_of(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  return ModelConfig::from_json(json_file(path), path.string());
}

}  // namespace

std::vector<fs::path> weight_files(const fs::path& folder) {
  if (fs::exists(folder / "model.safetensors")) return {folder / "model.safetensors"};
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(index)) return indexed_files(folder, index);
  throw Error(folder.string() + " has neither model.safetensors nor model.safetensors.index.json" + instead_of_weights(folder));
}

std::shared_ptr<Decoder> folder_decoder(const fs::path& folder, const std::vector<c10::Device>& devices,
                                        c10::ScalarType dtype) {
  ModelConfig config = config_of(folder);
  NamedTensors weights = read_weights(folder);
  settle_head(config, weights);
  // The decoder computes these itself; old checkpoints hold them.
  std::erase_if(weights, [](const auto& item) { return item.first.find("rotary_emb.inv_freq") != std::string::npos; });
  const Placement placement(config, devices);
  for (auto& [name, tensor] : weights) tensor = tensor.to(placement.of(name), dtype);
  return std::make_shared<Decoder>(config, std::move(weights), folder.string());
}

std::shared_ptr<Decoder> folder_decoder_around(const fs::path& folder, NamedTensors weights) {
  ModelConfig config = config_of(folder);
  config.tied_head = !weights.contains(kHeadWeight);  // settled when they were read
  return std::make_shared<Decoder>(config, std::move(weights), folder.string());
}

}  // namespace holdfast
