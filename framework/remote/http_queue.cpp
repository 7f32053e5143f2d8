#include "remote/http_queue.h"

#include <holdfast/error.h>

#include "base/process_name.h"
#include "remote/queue_messages.h"

namespace holdfast {
namespace {

constexpr const char* kLeases = "leases";

bool says_held(const Json& answer) { return answer.at("held").get<bool>(); }
bool no_more(const Json&) { return true; }

void remove_stale_leases(const fs::path& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;  // another worker may be removing it
    if (process_is_gone(name.substr(name.rfind('~') + 1))) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void remove_lease_folder(const Lease& lease) {
  std::error_code ignored;  // whoever comes next removes what is left
  fs::remove_all(lease.folder, ignored);
}

HttpQueue::HttpQueue(StoreClient& client, const fs::path& cache) : client_(client), folder_(cache / kLeases) {
  remove_stale_leases(folder_);
}

void HttpQueue::refuse(const char* what) const {
  throw Error("a worker of " + client_.url() + " cannot " + what + ": a run does, in the folder that is served there");
}

// Who uses a queue expects nothing but an Error of it.
template <typename Read>
auto HttpQueue::ask(const std::string& verb, const Json& question, const Read& read, std::optional<double> patience) {
  try {
    return client_.understood("/queue/" + verb, [&] { return read(client_.ask(verb, question, patience)); });
  } catch (const StoreAway& away) {
    throw Error(away.what());
  }
}

void HttpQueue::post(const Posting&) { refuse("post work"); }
QueueView HttpQueue::view() { refuse("see the whole queue"); }
std::optional<Json> HttpQueue::work_of(const LeaseView&) { refuse("see what others work on"); }
std::optional<Json> HttpQueue::ends_of(const std::string&) { refuse("read how work ended"); }
void HttpQueue::forget(const std::string&) { refuse("forget how work ended"); }
bool HttpQueue::withdraw(const std::string&) { refuse("take work back"); }

std::vector<NamedPosting> HttpQueue::ready() {
  return ask("ready", Json::object(), [](const Json& answer) {
    std::vector<NamedPosting> found;
    for (const auto& name : answer.at("ready")) {
      if (auto posting = posting_named(name.get<std::string>())) found.push_back(std::move(*posting));
    }
    return found;
  });
}

std::optional<Lease> HttpQueue::take(const NamedPosting& posting, const std::string& worker, double lost_after) {
  auto lease = ask("take", {{"posting", posting.name}, {"worker", worker}, {"lost_after", lost_after}}, [](const Json& answer) {
    return answer.at("lease").is_null() ? std::nullopt : std::optional(lease_from_json(answer.at("lease")));
  });
  if (!lease) return lease;
  // It becomes a folder here, which goes with the lease.
  const Takes takes{posting.takes.taken + 1, posting.takes.lost};
  if (lease->name != posting_name(posting.posting, takes) + "~" + worker) {
    throw Error(client_.url() + " gives the lease " + in_quotes(lease->name) + " for the posting " + posting.name +
                ": it is no store of this program");
  }
  lease->folder = folder_ / lease->name;
  std::error_code failure;
  fs::create_directories(lease->folder, failure);
  if (failure)
    throw Error("cannot write " + lease->folder.string() + ": " + failure.message() + "; choose another folder with --cache");
  return lease;
}

bool HttpQueue::beat(const Lease& lease, const Beat& beat) {
  const bool held = ask("beat", {{"lease", lease.name}, {"beat", to_json(beat)}}, says_held, StoreClient::kBriefly);
  if (!held) remove_lease_folder(lease);
  return held;
}

bool HttpQueue::finish(const Lease& lease, const Json& ends) {
  const bool held = ask("finish", {{"lease", lease.name}, {"ends", ends}}, says_held);
  remove_lease_folder(lease);
  return held;
}

void HttpQueue::give_back(const Lease& lease) {
  ask("give_back", {{"lease", lease.name}}, no_more);
  remove_lease_folder(lease);
}

void HttpQueue::sign(Party party, const std::string& name, const Beat& beat) {
  if (party == Party::kRun) refuse("sign as a run");
  try {
    ask("sign", {{"party", to_string(party)}, {"name", name}, {"beat", to_json(beat)}}, no_more, StoreClient::kBriefly);
  } catch (const Error&) {
  }
}

void HttpQueue::sign_off(Party party, const std::string& name) {
  if (party == Party::kRun) refuse("sign off as a run");
  ask("sign_off", {{"party", to_string(party)}, {"name", name}}, no_more);
}

std::vector<Sign> HttpQueue::signs(Party party) {
  return ask("signs", {{"party", to_string(party)}}, [](const Json& answer) {
    std::vector<Sign> found;
    for (const auto& sign : answer.at("signs")) found.push_back(sign_from_json(sign));
    return found;
  });
}

}  // namespace holdfast
