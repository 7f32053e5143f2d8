#include "remote/queue_service.h"

#include <algorithm>
#include <map>
#include <utility>

#include "remote/leases.h"
#include "remote/queue_messages.h"
#include "remote/refusal.h"

namespace holdfast {
namespace {

constexpr int kFreshFor = 10;  // times what listing took: many who wait cost a tenth of one processor and no more

std::string text(const Json& question, const char* name) { return question.at(name).get<std::string>(); }

std::string worker_in(const Json& question, const char* name) {
  const std::string worker = text(question, name);
  if (!is_worker_name(worker))
    throw Refusal{400, in_quotes(worker) + " is no worker's name: expected letters, digits and hyphens"};
  return worker;
}

void check_party(const Json& question) {
  if (text(question, "party") == to_string(Party::kWorker)) return;
  throw Refusal{403, "only workers sign here: a run signs in the store's folder, on the machine that serves it"};
}

NamedPosting posting_in(const Json& question) {
  const std::string name = text(question, "posting");
  const auto found = posting_named(name);
  if (!found || posting_name(found->posting, found->takes) != name) {
    throw Refusal{400, in_quotes(name) + " is no posting's name: expected one that /queue/ready gave"};
  }
  return *found;
}

LeaseView view_of(const Lease& lease) { return {lease.name, lease.worker, {}}; }

}  // namespace

QueueService::QueueService(fs::path store) : store_(std::move(store)), queue_(store_ / kQueue) {}

Json QueueService::answer(const std::string& verb, const Json& question) {
  using Answer = Json (QueueService::*)(const Json&);
  static const std::map<std::string, Answer> verbs = {
      {"take", &QueueService::take},           {"beat", &QueueService::beat}, {"finish", &QueueService::finish},
      {"give_back", &QueueService::give_back}, {"sign", &QueueService::sign}, {"sign_off", &QueueService::sign_off},
      {"signs", &QueueService::signs}};
  const std::lock_guard lock(mutex_);
  if (verb == "ready") return ready();
  const auto found = verbs.find(verb);
  if (found == verbs.end()) throw Refusal{404, "there is no /queue/" + verb + " for workers"};
  return (this->*found->second)(question);
}

Json QueueService::work_of(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  auto work = queue_.work_of(view_of(lease));
  if (!work) refuse_lost(lease);
  return std::move(*work);
}

Json QueueService::ready() {
  const auto begun = Clock::now();
  if (begun < fresh_until_) return {{"ready", listed_}};
  listed_ = Json::array();
  for (const auto& posting : queue_.ready()) listed_.push_back(posting.name);
  const auto listed = Clock::now();
  fresh_until_ = listed + kFreshFor * (listed - begun);
  return {{"ready", listed_}};
}

// A worker whose answer was lost asks again, and is given what it has.
Json QueueService::take(const Json& question) {
  const NamedPosting posting = posting_in(question);
  const std::string worker = worker_in(question, "worker");
  const Takes takes{posting.takes.taken + 1, posting.takes.lost};
  Lease own = lease_named(store_, posting_name(posting.posting, takes) + "~" + worker);
  std::erase(listed_.get_ref<Json::array_t&>(), Json(posting.name));
  if (const auto lease = queue_.take(posting, worker, question.at("lost_after").get<double>()))
    return {{"lease", to_json(*lease)}};
  auto work = queue_.work_of(view_of(own));
  if (!work) return {{"lease", nullptr}};
  own.work = std::move(*work);
  return {{"lease", to_json(own)}};
}

Json QueueService::beat(const Json& question) {
  return {{"held", queue_.beat(lease_named(store_, text(question, "lease")), beat_from_json(question.at("beat")))}};
}

Json QueueService::finish(const Json& question) {
  return {{"held", queue_.finish(lease_named(store_, text(question, "lease")), question.at("ends"))}};
}

Json QueueService::give_back(const Json& question) {
  queue_.give_back(lease_named(store_, text(question, "lease")));
  fresh_until_ = {};
  return Json::object();
}

Json QueueService::sign(const Json& question) {
  check_party(question);
  queue_.sign(Party::kWorker, worker_in(question, "name"), beat_from_json(question.at("beat")));
  return Json::object();
}

Json QueueService::sign_off(const Json& question) {
  check_party(question);
  queue_.sign_off(Party::kWorker, worker_in(question, "name"));
  return Json::object();
}

Json QueueService::signs(const Json& question) {
  const bool of_runs = text(question, "party") == to_string(Party::kRun);
  Json signs = Json::array();
  for (const auto& sign : queue_.signs(of_runs ? Party::kRun : Party::kWorker)) signs.push_back(to_json(sign));
  return {{"signs", std::move(signs)}};
}

}  // namespace holdfast
