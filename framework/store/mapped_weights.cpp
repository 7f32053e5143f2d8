#include "store/mapped_weights.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <system_error>

#include "base/digest.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

constexpr const char* kWeights = "weights.safetensors";
constexpr const char* kDescription = "weights.json";
constexpr int kMappedFormat = 1;

// Throws what is wrong with it.
void check(const fs::path& folder) {
  const Json json = parse_json(read_file(folder / kDescription), (folder / kDescription).string());
  const fs::path file = folder / kWeights;
  if (json.at("format").get<int>() != kMappedFormat) throw Error(folder.string() + " has another format");
  if (fs::file_size(file) != json.at("bytes").get<std::uint64_t>()) throw Error(file.string() + " has another length");
  if (sha256_file(file) != json.at("sha256").get<std::string>()) throw Error(file.string() + " does not have its SHA-256");
}

}  // namespace

fs::path MappedWeights::folder(const std::string& digest, const std::string& dtype) const {
  return store_.mapped(sha256(canonical({{"weights", digest}, {"dtype", dtype}})));
}

std::optional<NamedTensors> MappedWeights::find(const std::string& digest, const std::string& dtype) {
  const fs::path place = folder(digest, dtype);
  std::error_code ignored;
  if (!fs::exists(place, ignored)) return std::nullopt;
  try {
    check(place);
    return read_safetensors(place / kWeights).tensors;
  } catch (const std::exception& error) {
    log_warning("weights that workers share are damaged and are made again: " + std::string(error.what()));
    store_.remove_mapped(place);
    return std::nullopt;
  }
}

std::optional<NamedTensors> MappedWeights::put(const std::string& digest, const std::string& dtype,
                                               const NamedTensors& weights) {
  const fs::path place = folder(digest, dtype);
  fs::path made;
  try {
    made = store_.begin();
    const fs::path file = made / kWeights;
    write_safetensors(file, weights);
    write_file(made / kDescription,
               canonical({{"format", kMappedFormat}, {"bytes", fs::file_size(file)}, {"sha256", sha256_file(file)}}));
    fs::create_directories(place.parent_path());
    std::error_code taken;  // by another process, whose file holds the same
    fs::rename(made, place, taken);
    if (taken && !fs::exists(place)) throw Error("cannot make " + place.string() + ": " + taken.message());
  } catch (const std::exception& error) {
    log_warning("weights stay in this worker's own memory, which others cannot share: " + std::string(error.what()));
    if (!made.empty()) store_.abandon(made);
    return std::nullopt;
  }
  store_.abandon(made);  // where it is still there
  return find(digest, dtype);
}

}  // namespace holdfast
