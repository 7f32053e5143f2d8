#include "plugin/known_libraries.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include "base/cache_folder.h"
#include "plugin/library.h"

namespace holdfast {

KnownLibraries::KnownLibraries() {
  const fs::path folder = cache_folder();
  if (folder.empty()) return;
  file_ = folder / "plugins.json";
  if (!fs::exists(file_)) return;
  known_ = Json::parse(read_file(file_), nullptr, false);
  if (!known_.is_object()) known_ = Json::object();  // torn by hand: it is only a memory
}

// An entry is [ABI tag, SHA-256, what it said].
const Json* KnownLibraries::find(const fs::path& library, const std::string& sha256) const {
  const auto entry = known_.find(library.string());
  if (entry == known_.end() || !entry->is_array() || entry->size() != 3) return nullptr;
  return (*entry)[0] == abi_tag() && (*entry)[1] == sha256 && (*entry)[2].is_object() ? &(*entry)[2] : nullptr;
}

void KnownLibraries::add(const fs::path& library, const std::string& sha256, const Json& said) {
  known_[library.string()] = Json::array({abi_tag(), sha256, said});
  changed_ = true;
}

// Two processes that write at once lose one's entries, which costs a loading later.
void KnownLibraries::keep() {
  if (!changed_ || file_.empty()) return;
  for (auto entry = known_.begin(); entry != known_.end();) {
    entry = fs::exists(entry.key()) ? std::next(entry) : known_.erase(entry);
  }
  try {
    write_file(file_, known_.dump(1) + "\n");
  } catch (const Error& error) {
    log_warning(std::string("what plugins say of themselves is not remembered: ") + error.what());
  }
  changed_ = false;
}

}  // namespace holdfast
