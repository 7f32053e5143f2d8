#include "learn/adapter_folder.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>

#include "base/untrusted.h"
#include "learn/adapter_config.h"
#include "model/decoder_weights.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

constexpr char kPrefix[] = "base_model.model.";
constexpr char kHead[] = "lm_head";
constexpr char kEmbedding[] = "model.embed_tokens";

std::string without(std::string text, const std::string& part) {
  if (const auto at = text.find(part); at != std::string::npos) text.erase(at, part.size());
  return text;
}

// What adapter_model.safetensors holds, by the names of the base.
struct Saved {
  std::map<std::string, LoraFactors> factors;  // by module
  NamedTensors whole;                          // by tensor
};

Saved read_saved(const fs::path& path, const AdapterConfig& config) {
  Saved saved;
  for (const auto& [stored, tensor] : read_safetensors(path).tensors) {
    if (!stored.starts_with(kPrefix)) {
      throw Error(path.string() + " holds \"" + stored + "\", expected names that begin with \"" + kPrefix + "\"");
    }
    const std::string name = stored.substr(sizeof(kPrefix) - 1);
    bool is_factor = false;
    for (const auto& [end, is_a] : {std::pair(".lora_A.weight", true), std::pair(".lora_B.weight", false),
                                    std::pair(".lora_embedding_A", true), std::pair(".lora_embedding_B", false)}) {
      if (!name.ends_with(end)) continue;
      LoraFactors& pair = saved.factors[name.substr(0, name.size() - std::string_view(end).size())];
      (is_a ? pair.a : pair.b) = tensor;
      is_factor = true;
    }
    if (is_factor) continue;
    const std::string whole = without(without(without(name, ".base_layer"), ".modules_to_save"), ".default");
    if (!saved.whole.emplace(whole, tensor).second) throw Error(path.string() + " holds \"" + whole + "\" twice");
  }
  for (auto& [module, pair] : saved.factors) {
    pair.scale = config.scale_of(module);
    if (!pair.a.defined() || !pair.b.defined() || pair.a.dim() != 2) continue;  // the decoder says that it does not fit
    if (pair.a.size(0) == config.rank_of(module)) continue;
    throw Error(path.string() + ": the factors of \"" + module + "\" have the rank " + std::to_string(pair.a.size(0)) +
                ", and adapter_config.json gives it " + std::to_string(config.rank_of(module)));
  }
  if (saved.factors.empty() && saved.whole.empty()) throw Error(path.string() + " holds no tensor");
  return saved;
}

bool belongs_to(const std::string& tensor, const std::string& module) {
  return ("." + tensor).ends_with("." + module + ".weight");
}

bool is_trained_whole(const std::string& tensor, const AdapterConfig& config) {
  const auto modules = config.saved_modules();
  return std::any_of(modules.begin(), modules.end(), [&](const auto& module) { return belongs_to(tensor, module); });
}

// Every module that was trained whole must be there whole.
void check_saved_modules(const Saved& saved, const AdapterConfig& config, const fs::path& path) {
  for (const auto& module : config.saved_modules()) {
    const auto& whole = saved.whole;
    if (std::any_of(whole.begin(), whole.end(), [&](const auto& item) { return belongs_to(item.first, module); })) continue;
    throw Error(path.string() + " holds no tensor of \"" + module + "\", which adapter_config.json names in modules_to_save");
  }
}

// The base's weights as the adapter has them, and its configuration.
class Rebuilt {
 public:
  Rebuilt(const Decoder& base, std::string source)
      : config(base.config()), weights(base.weights()), source_(std::move(source)) {}

  // A tensor that was trained whole is the adapter's own; one that was only saved along is the base's, which a tied head
  // shares.
  void replace(const std::string& stored, const at::Tensor& tensor, bool trained) {
    const std::string name = config.tied_head && !trained && stored == kHeadWeight ? kEmbeddingWeight : stored;
    const bool is_tied_head = config.tied_head && name == kHeadWeight;
    if (!is_tied_head && !weights.contains(name)) {
      throw Error(source_ + " holds \"" + kPrefix + stored +
                  "\", which is neither a LoRA factor nor a tensor of its base model");
    }
    const at::Tensor before = weights.at(is_tied_head ? kEmbeddingWeight : name), after = tensor.to(before.options());
    if (before.sizes() == after.sizes() && at::equal(before, after)) return;
    if (trained) untie(name);
    weights[name] = after;
  }

  // W + scale * B A; the factors of an embedding are its transpose's.
  void add(const std::string& module, const LoraFactors& lora) {
    const std::string name = module + ".weight";
    untie(name);
    const bool is_embedding = module == kEmbedding;
    const at::Tensor before = weights.at(name);
    const std::int64_t out = before.size(is_embedding ? 1 : 0), in = before.size(is_embedding ? 0 : 1);
    if (!lora.a.defined() || !lora.b.defined() || lora.a.dim() != 2 || lora.b.dim() != 2 || lora.a.size(1) != in ||
        lora.b.size(0) != out || lora.a.size(0) != lora.b.size(1)) {
      throw Error(source_ + ": the factors of \"" + module + "\" do not fit its weight");
    }
    const at::Tensor product = at::mm(lora.b.to(before.device(), at::kFloat), lora.a.to(before.device(), at::kFloat));
    weights[name] = (before.to(at::kFloat) + (is_embedding ? product.t() : product) * lora.scale).to(before.scalar_type());
  }

  ModelConfig config;
  NamedTensors weights;

 private:
  // PEFT trains one of the two alone: the other keeps the base's values.
  void untie(const std::string& name) {
    if (!config.tied_head || (name != kHeadWeight && name != kEmbeddingWeight)) return;
    config.tied_head = false;
    weights[kHeadWeight] = weights.at(kEmbeddingWeight).clone();
  }

  std::string source_;
};

}  // namespace

bool is_adapter_folder(const fs::path& folder) { return fs::exists(folder / "adapter_config.json"); }

std::string adapter_base(const fs::path& folder) {
  const std::string base = read_adapter_config(folder).base();
  if (base == "organism" || is_there(base)) return base;
  if (!base.empty() && is_there(folder / base)) return (folder / base).string();
  throw Error(folder.string() + " adapts the base model \"" + base +
              "\", which is not there: set base_model_name_or_path in its adapter_config.json");
}

fs::path adapter_weights(const fs::path& folder) {
  for (const char* whole : {"model.safetensors", "model.safetensors.index.json"}) {
    if (!fs::exists(folder / whole)) continue;
    throw Error(folder.string() + " holds both an adapter (adapter_config.json) and a whole model (" + whole +
                "): keep one of the two there");
  }
  const fs::path path = folder / "adapter_model.safetensors";
  if (fs::exists(path)) return path;
  if (fs::exists(folder / "adapter_model.bin")) {
    throw Error(folder.string() + " has its weights pickled only (adapter_model.bin), and pickles are never read: save the " +
                "adapter again with PEFT's save_pretrained(safe_serialization=True)");
  }
  throw Error(folder.string() + " has an adapter_config.json and no adapter_model.safetensors");
}

std::shared_ptr<Decoder> adapted(const std::shared_ptr<Decoder>& base, const fs::path& folder) {
  const AdapterConfig config = read_adapter_config(folder);
  const fs::path path = adapter_weights(folder);
  Saved saved = read_saved(path, config);
  check_saved_modules(saved, config, path);
  base->merge_adapters();
  Rebuilt rebuilt(*base, path.string());
  for (const bool trained : {false, true}) {
    for (const auto& [name, tensor] : saved.whole) {
      if (is_trained_whole(name, config) == trained) rebuilt.replace(name, tensor, trained);
    }
  }
  for (const char* module : {kHead, kEmbedding}) {
    const auto found = saved.factors.find(module);
    if (found == saved.factors.end()) continue;
    rebuilt.add(module, found->second);
    saved.factors.erase(found);
  }
  auto decoder = std::make_shared<Decoder>(rebuilt.config, std::move(rebuilt.weights), path.string());
  if (!saved.factors.empty()) {
    decoder->set_adapters(std::move(saved.factors), {config.rank(), config.alpha(), config.targets()}, path.string());
  }
  return decoder;
}

}  // namespace holdfast
