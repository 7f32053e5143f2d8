#include "remote/leases.h"

#include <algorithm>
#include <cctype>

#include "queue/directory_queue.h"
#include "remote/refusal.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestName = 255;

bool all_of(const std::string& text, std::string_view beside) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || beside.find(c) != std::string_view::npos;
  });
}

}  // namespace

bool is_worker_name(const std::string& text) { return !text.empty() && text.size() <= kLongestName && all_of(text, "-"); }

Lease lease_named(const fs::path& store, const std::string& name) {
  const auto end = name.rfind('~');
  const bool safe = name.size() <= kLongestName && all_of(name, "-._:~") && !name.starts_with('.');
  const auto posting = safe && end != std::string::npos ? posting_named(name.substr(0, end)) : std::nullopt;
  if (!posting || !is_worker_name(name.substr(end + 1))) {
    throw Refusal{400, in_quotes(name) + " is no lease's name: expected the one that /queue/take gave"};
  }
  Lease lease;
  lease.name = name;
  lease.id = posting->posting.id;
  lease.worker = name.substr(end + 1);
  lease.token = posting->takes.taken;
  lease.folder = lease_folder(store / kQueue, name);
  return lease;
}

bool is_held(const Lease& lease) {
  std::error_code ignored;
  return fs::exists(lease.folder, ignored);
}

void refuse_lost(const Lease& lease) {
  throw Refusal{410, "the lease " + lease.name + " is held no longer: its beat was late and another worker may have its work"};
}

}  // namespace holdfast
