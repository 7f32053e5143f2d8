#include "queue/directory_queue.h"

#include <holdfast/error.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/process_name.h"

namespace holdfast {
namespace {

const std::string kReady = "ready";
const std::string kLeased = "leased";
const std::string kEnded = "ended";
const std::string kTemporary = "tmp";
const std::string kRequest = "request.json";
const std::string kBeat = "beat.json";
const std::string kEnds = "ended.json";

const char* folder_of(Party party) { return party == Party::kRun ? "runs" : "workers"; }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code gone;  // the store was removed under us: the next write says so
  for (auto entry = fs::directory_iterator(folder, gone); !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

std::optional<Json> read(const fs::path& file) {
  try {
    return parse_json(read_file(file), file.string());
  } catch (const std::exception&) {  // gone, or on its way
    return std::nullopt;
  }
}

// What is known to be there: a file server may show it late.
std::optional<Json> read_soon(const fs::path& file) {
  auto found = read(file);
  for (int turn = 0; turn < 50 && !found; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    names_in(file.parent_path());
    found = read(file);
  }
  return found;
}

struct LeasedName {
  NamedPosting posting;
  std::string worker;
};

std::optional<LeasedName> leased_name(const std::string& name) {
  const auto end = name.rfind('~');
  if (end == std::string::npos) return std::nullopt;
  auto posting = posting_named(name.substr(0, end));
  if (!posting) return std::nullopt;
  return LeasedName{std::move(*posting), name.substr(end + 1)};
}

bool is_over(int reason) { return reason == ENOENT || reason == EEXIST || reason == ENOTEMPTY || reason == ESTALE; }

}  // namespace

fs::path lease_folder(const fs::path& queue, const std::string& name) { return queue / kLeased / name; }

DirectoryQueue::DirectoryQueue(fs::path root) : root_(fs::absolute(root).lexically_normal()) {
  for (const auto& name :
       {kReady, kLeased, kEnded, kTemporary, std::string(folder_of(Party::kRun)), std::string(folder_of(Party::kWorker))}) {
    std::error_code failure;
    fs::create_directories(root_ / name, failure);
    if (failure || ::access((root_ / name).c_str(), W_OK) != 0) {
      throw Error("cannot write the queue " + root_.string() + ": " + (failure ? failure.message() : std::strerror(errno)) +
                  "; it lies in the store, which all workers of a run must be able to write");
    }
  }
  for (const auto& name : names_in(root_ / kTemporary)) {
    if (!process_is_gone(name.substr(0, name.find('.')))) continue;
    std::error_code ignored;  // another process may be removing the same folder
    fs::remove_all(root_ / kTemporary / name, ignored);
  }
}

void DirectoryQueue::fail(const std::string& fault) const {
  std::error_code unknown;
  if (!fs::exists(root_, unknown) && !unknown) {
    throw Error("the queue " + root_.string() + " was removed while it was in use: the same command makes a new one");
  }
  throw Error(fault);
}

void DirectoryQueue::fail(const fs::path& place, int reason) const {
  fail("cannot write the queue at " + place.string() + ": " + reason_of(reason));
}

fs::path DirectoryQueue::temporary() { return root_ / kTemporary / (process_name() + "." + std::to_string(++counter_)); }

// First away, so that it is gone at once.
void DirectoryQueue::remove(const fs::path& place) {
  const fs::path trash = temporary();
  std::error_code ignored;  // another process may have removed it first
  if (move_path(place, trash)) fs::remove_all(trash, ignored);
}

void DirectoryQueue::post(const Posting& posting) {
  const fs::path made = temporary();
  std::error_code failure;
  fs::create_directory(made, failure);
  if (failure) fail(made, failure.value());
  try {
    write_file_unsynced(made / kRequest, canonical({{"work", posting.work}, {"lost_after", posting.lost_after}}));
  } catch (const Error& error) {
    fs::remove_all(made, failure);
    fail(error.what());
  }
  const fs::path place = root_ / kReady / posting_name(posting, {});
  if (move_path(made, place)) return;
  const int reason = errno;
  fs::remove_all(made, failure);
  if (!is_over(reason)) fail(place, reason);  // else it is there already
}

QueueView DirectoryQueue::view() {
  take_back_lost();
  QueueView seen;
  // In the order in which work goes through them, so that what moves on meanwhile is seen once at least.
  for (const auto& name : names_in(root_ / kReady)) {
    if (const auto found = posting_named(name)) seen.ready[found->posting.id] = found->takes;
  }
  for (const auto& name : names_in(root_ / kLeased)) {
    const auto found = leased_name(name);
    if (!found) continue;
    LeaseView lease{name, found->worker, found->posting.takes};
    if (const auto beat = read(root_ / kLeased / name / kBeat)) lease.progress = beat_from_json(*beat).about;
    seen.leased[found->posting.posting.id] = std::move(lease);
  }
  seen.ended = names_in(root_ / kEnded);
  std::sort(seen.ended.begin(), seen.ended.end());
  return seen;
}

std::optional<Json> DirectoryQueue::work_of(const LeaseView& lease) {
  const auto request = read(root_ / kLeased / lease.name / kRequest);
  return request ? std::optional(request->at("work")) : std::nullopt;
}

std::optional<Json> DirectoryQueue::ends_of(const std::string& id) {
  const auto record = read(root_ / kEnded / id / kEnds);
  return record ? std::optional(record->at("ends")) : std::nullopt;
}

void DirectoryQueue::forget(const std::string& id) { remove(root_ / kEnded / id); }

bool DirectoryQueue::withdraw(const std::string& id) {
  for (const auto& name : names_in(root_ / kReady)) {
    const auto found = posting_named(name);
    if (!found || found->posting.id != id) continue;
    const fs::path trash = temporary();
    if (!move_path(root_ / kReady / name, trash)) return false;
    std::error_code ignored;
    fs::remove_all(trash, ignored);
    return true;
  }
  return false;
}

std::vector<NamedPosting> DirectoryQueue::ready() {
  take_back_lost();
  std::vector<NamedPosting> found;
  for (const auto& name : names_in(root_ / kReady)) {
    if (auto posting = posting_named(name)) found.push_back(std::move(*posting));
  }
  return found;
}

std::optional<Lease> DirectoryQueue::take(const NamedPosting& posting, const std::string& worker, double lost_after) {
  Lease lease;
  lease.id = posting.posting.id;
  lease.worker = worker;
  lease.token = posting.takes.taken + 1;
  lease.name = posting_name(posting.posting, {lease.token, posting.takes.lost}) + "~" + worker;
  lease.folder = lease_folder(root_, lease.name);
  if (!move_path(root_ / kReady / posting.name, lease.folder)) {
    if (!is_over(errno)) fail(lease.folder, errno);
    return std::nullopt;
  }
  auto request = read_soon(lease.folder / kRequest);
  if (!request) {  // its machine died while it was written: whoever posted it sees that it is gone, and posts it again
    remove(lease.folder);
    return std::nullopt;
  }
  lease.work = std::move(request->at("work"));
  if (!beat(lease, {1, lost_after, Json::object()})) return std::nullopt;
  return lease;
}

bool DirectoryQueue::beat(const Lease& lease, const Beat& beat) {
  try {
    overwrite_file(lease.folder / kBeat, canonical(to_json(beat)));
    return true;
  } catch (const Error& error) {
    if (!is_lost(lease)) fail(error.what());  // a full disk, say: the next one may be written
    return false;
  }
}

bool DirectoryQueue::is_lost(const Lease& lease) const {
  std::error_code failure;
  return !fs::exists(lease.folder, failure) && !failure && fs::exists(root_, failure);
}

bool DirectoryQueue::finish(const Lease& lease, const Json& ends) {
  const fs::path place = root_ / kEnded / lease.id;
  try {
    write_file_unsynced(lease.folder / kEnds, canonical({{"lease", lease.name}, {"ends", ends}}));
  } catch (const Error& error) {
    if (!is_lost(lease)) fail(error.what());
    return false;
  }
  if (::rename(lease.folder.c_str(), place.c_str()) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) {  // it ended before, and nobody has read how
    remove(place);
    if (::rename(lease.folder.c_str(), place.c_str()) == 0) return true;
  }
  if (!is_over(errno)) fail(place, errno);
  const auto record = read(place / kEnds);  // the answer to the renaming may have been lost
  return record && record->value("lease", "") == lease.name;
}

// Whatever lies in it but the work itself goes before the work is ready again, so that nobody who comes late can publish it.
void DirectoryQueue::make_ready(const fs::path& leased, const std::string& posting) {
  const fs::path mine = temporary();
  if (!move_path(leased, mine)) return;  // another was faster
  std::error_code ignored;
  for (const auto& name : names_in(mine)) {
    if (name != kRequest) fs::remove_all(mine / name, ignored);
  }
  if (!move_path(mine, root_ / kReady / posting)) fs::remove_all(mine, ignored);
}

void DirectoryQueue::give_back(const Lease& lease) { make_ready(lease.folder, lease.name.substr(0, lease.name.rfind('~'))); }

void DirectoryQueue::take_back_lost() {
  for (const auto& name : names_in(root_ / kLeased)) {
    const auto found = leased_name(name);
    if (!found) continue;
    const fs::path place = root_ / kLeased / name;
    auto shown = read(place / kBeat);
    if (!shown) shown = read(place / kRequest);  // whoever took it has shown none yet
    if (!shown) continue;                        // it is on its way from there
    const double silent = leases_.of(name, canonical(*shown));
    if (silent < shown->at("lost_after").get<double>() && !process_is_gone(found->worker)) continue;
    const Takes takes{found->posting.takes.taken, found->posting.takes.lost + 1};
    make_ready(place, posting_name(found->posting.posting, takes));
  }
  leases_.sweep();
}

void DirectoryQueue::sign(Party party, const std::string& name, const Beat& beat) {
  try {
    overwrite_file(root_ / folder_of(party) / (name + ".json"), canonical(to_json(beat)));
  } catch (const Error& error) {
    fail(error.what());
  }
}

void DirectoryQueue::sign_off(Party party, const std::string& name) {
  std::error_code ignored;
  fs::remove(root_ / folder_of(party) / (name + ".json"), ignored);
}

std::vector<Sign> DirectoryQueue::signs(Party party) {
  std::vector<Sign> found;
  for (const auto& file : names_in(root_ / folder_of(party))) {
    if (!file.ends_with(".json")) continue;
    const auto json = read(root_ / folder_of(party) / file);
    if (!json) continue;
    const Beat beat = beat_from_json(*json);
    Sign sign{file.substr(0, file.size() - 5)};
    sign.silent = signs_.of(folder_of(party) + ("/" + file), canonical(*json));
    sign.lost = sign.silent > beat.lost_after || process_is_gone(sign.name);
    sign.about = beat.about;
    found.push_back(std::move(sign));
  }
  return found;
}

}  // namespace holdfast
