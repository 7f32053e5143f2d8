#include "remote/queue_messages.h"

#include "base/untrusted.h"

namespace holdfast {

Json to_json(const Lease& lease) {
  return {{"name", lease.name}, {"id", lease.id}, {"worker", lease.worker}, {"token", lease.token}, {"work", lease.work}};
}

Lease lease_from_json(const Json& json) {
  Lease lease;
  json.at("name").get_to(lease.name);
  json.at("id").get_to(lease.id);
  json.at("worker").get_to(lease.worker);
  lease.token = whole_number(json.at("token"));
  lease.work = json.at("work");
  return lease;
}

Json to_json(const Sign& sign) {
  return {{"name", sign.name}, {"silent", sign.silent}, {"lost", sign.lost}, {"about", sign.about}};
}

Sign sign_from_json(const Json& json) {
  return {json.at("name").get<std::string>(), json.at("silent").get<double>(), json.at("lost").get<bool>(), json.at("about")};
}

const char* to_string(Party party) { return party == Party::kRun ? "run" : "worker"; }

}  // namespace holdfast
