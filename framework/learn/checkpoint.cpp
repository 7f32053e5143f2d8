#include "learn/checkpoint.h"

#include <holdfast/error.h>

#include <algorithm>

#include "base/digest.h"
#include "base/remembered_digest.h"
#include "learn/adapter_folder.h"
#include "learn/device.h"
#include "learn/gguf_model.h"
#include "learn/model_folder.h"
#include "model/gguf_parts.h"

namespace holdfast {
namespace {

std::string advice(const std::string& source) {
  const bool looks_like_a_repository = std::count(source.begin(), source.end(), '/') == 1 && source.find('.') != 0 &&
                                       source.front() != '/' && source.back() != '/';
  return looks_like_a_repository ? "; nothing is downloaded: if it is a repository of the Hugging Face hub, fetch it with \"hf "
                                   "download " +
                                       source + " --local-dir FOLDER\" and name the folder"
                                 : "";
}

// Where a folder that is no checkpoint most likely keeps one.
std::string instead_of_config(const fs::path& folder) {
  if (fs::is_directory(folder / "snapshots")) {
    for (const auto& snapshot : fs::directory_iterator(folder / "snapshots")) {
      if (fs::exists(snapshot.path() / "config.json")) {
        return "; it is a folder of the Hugging Face cache, whose model is " + snapshot.path().string();
      }
    }
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") return "; name its GGUF file itself: " + entry.path().string();
    if (entry.path().filename() == "adapter_model.safetensors") return "; its adapter lacks adapter_config.json";
    if (entry.is_directory() && (fs::exists(entry.path() / "config.json") || is_adapter_folder(entry.path()))) {
      return "; there is a model in " + entry.path().string();
    }
  }
  return "";
}

void check_folder(const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) {
    throw Error(folder.string() + " has no config.json: expected a Hugging Face folder" + instead_of_config(folder));
  }
  if (!fs::exists(folder / "tokenizer.json")) {
    throw Error(folder.string() + " has no tokenizer.json; save the tokenizer with transformers in its fast form");
  }
}

void check_file(const fs::path& path) {
  const std::string kind = path.extension().string();
  if (kind != ".safetensors" && kind != ".json" && kind != ".bin" && kind != ".jinja" && kind != ".model") return;
  const fs::path folder = path.parent_path().empty() ? "." : path.parent_path();
  throw Error(path.string() + " is one file of a checkpoint: name its folder, " + folder.string());
}

// The folders from an adapter to what it stands on in the end; `source` alone when it is none. Throws Error for a circle.
std::vector<fs::path> chain_of(const std::string& source) {
  std::vector<fs::path> chain = {checkpoint_path(source)};
  while (fs::is_directory(chain.back()) && is_adapter_folder(chain.back())) {
    const fs::path base = checkpoint_path(adapter_base(chain.back()));
    for (const auto& above : chain) {
      if (!fs::equivalent(above, base)) continue;
      throw Error(chain.back().string() + " adapts the base model \"" + base.string() +
                  "\", which is itself or stands on it: set base_model_name_or_path in its adapter_config.json");
    }
    chain.push_back(base);
  }
  return chain;
}

struct Part {
  std::string role;  // no name that a user chose
  fs::path path;
};

std::vector<Part> parts_of(const std::string& source) {
  std::vector<Part> parts;
  auto chain = chain_of(source);
  std::reverse(chain.begin(), chain.end());
  for (const auto& path : chain) {
    if (!fs::is_directory(path)) {
      check_file(path);
      for (const auto& file : gguf_files(path)) parts.push_back({"gguf", file});
      continue;
    }
    std::vector<fs::path> files;
    if (is_adapter_folder(path)) {
      files = {path / "adapter_config.json", adapter_weights(path)};
    } else {
      check_folder(path);
      files = weight_files(path);
    }
    const auto beside = side_files_in(path);
    files.insert(files.end(), beside.begin(), beside.end());
    for (const auto& file : files) parts.push_back({file.filename().string(), file});
  }
  return parts;
}

}  // namespace

fs::path checkpoint_path(const std::string& source) {
  if (source == "organism") {
    const fs::path folder = share_folder() / "organism";
    if (!fs::exists(folder / "config.json")) {
      throw Error("the built-in organism is missing from " + folder.string() + ": build or install Holdfast again");
    }
    return folder;
  }
  if (source.empty() || !fs::exists(source)) {
    throw Error("no model at \"" + source +
                "\": expected \"organism\", a GGUF file, a Hugging Face folder or an adapter folder" +
                (source.empty() ? "" : advice(source)));
  }
  return source;
}

bool is_adapter(const std::string& source) {
  const fs::path path = checkpoint_path(source);
  return fs::is_directory(path) && is_adapter_folder(path);
}

std::unique_ptr<LanguageModel> load_model(const std::string& source, const LoadOptions& options) {
  const std::vector<c10::Device> devices = resolve_devices(options.device);
  const c10::ScalarType dtype = resolve_dtype(options.dtype, devices.front());
  auto chain = chain_of(source);
  const fs::path root = chain.back();
  chain.pop_back();
  GgufModel model;
  if (fs::is_directory(root)) {
    check_folder(root);
    model = {folder_decoder(root, devices, dtype), files_beside(root)};
  } else {
    check_file(root);
    model = read_gguf_model(root, devices, dtype);
  }
  for (auto folder = chain.rbegin(); folder != chain.rend(); ++folder) {
    model.files = laid_over(std::move(model.files), files_beside(*folder));
    model.decoder = adapted(model.decoder, *folder);
  }
  return language_model(std::move(model.decoder), model.files);
}

std::unique_ptr<LanguageModel> load_model_around(const std::string& source, NamedTensors weights) {
  HOLDFAST_CHECK(!is_adapter(source));
  const fs::path root = checkpoint_path(source);
  if (fs::is_directory(root)) {
    check_folder(root);
    return language_model(folder_decoder_around(root, std::move(weights)), files_beside(root));
  }
  check_file(root);
  GgufModel model = read_gguf_around(root, std::move(weights));
  return language_model(std::move(model.decoder), model.files);
}

std::vector<fs::path> checkpoint_files(const std::string& source) {
  std::vector<fs::path> files;
  for (const auto& part : parts_of(source)) files.push_back(part.path);
  return files;
}

std::string checkpoint_digest(const std::string& source) {
  Json parts = Json::array();
  for (const auto& part : parts_of(source)) parts.push_back({part.role, remembered_sha256(part.path)});
  return sha256(canonical({{"reading", kReadingRevision}, {"files", parts}}));
}

std::uint64_t checkpoint_bytes(const std::string& source) {
  constexpr std::uint64_t kUnknown = 2'500'000;
  try {
    std::uint64_t bytes = 0;
    for (const auto& file : checkpoint_files(source)) bytes += fs::file_size(file);
    return bytes;
  } catch (const Error&) {
    return kUnknown;
  }
}

}  // namespace holdfast
