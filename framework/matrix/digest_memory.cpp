#include "matrix/digest_memory.h"

#include <holdfast/error.h>

#include <algorithm>
#include <chrono>

#include "base/digest.h"
#include "learn/checkpoint.h"

namespace holdfast {
namespace {

// Files of a checkpoint; empty for those whose files are not all in one place (built in, adapters that name a base).
std::vector<fs::path> files_of(const std::string& source) {
  if (source == "organism" || fs::exists(fs::path(source) / "adapter_config.json")) return {};
  if (!fs::is_directory(source)) return {source};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(source)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string stamp_of(const std::vector<fs::path>& files) {
  Json stamp = Json::array();
  for (const auto& file : files) {
    const auto time = fs::last_write_time(file).time_since_epoch();
    stamp.push_back({file.string(), fs::file_size(file), std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()});
  }
  return sha256(canonical(stamp));
}

}  // namespace

DigestMemory::DigestMemory(const fs::path& store) : file_(store / "checkpoints.json") {
  if (!fs::exists(file_)) return;
  known_ = Json::parse(read_file(file_), nullptr, false);
  if (!known_.is_object()) known_ = Json::object();  // torn by hand: it is only a memory
}

std::string DigestMemory::checkpoint(const std::string& source) {
  const auto files = files_of(source);
  if (files.empty()) return checkpoint_digest(source);
  const std::string stamp = stamp_of(files);
  if (known_.contains(stamp) && known_[stamp].is_string()) return known_[stamp].get<std::string>();
  const std::string digest = checkpoint_digest(source);
  known_[stamp] = digest;
  write_file(file_, known_.dump(1) + "\n");
  return digest;
}

std::uint64_t checkpoint_bytes(const std::string& source) {
  constexpr std::uint64_t kOrganism = 2'500'000;
  std::uint64_t bytes = 0;
  for (const auto& file : files_of(source)) {
    std::error_code missing;  // a gated model, in a plan
    const auto size = fs::file_size(file, missing);
    bytes += missing ? 0 : size;
  }
  return bytes == 0 ? kOrganism : bytes;
}

}  // namespace holdfast
