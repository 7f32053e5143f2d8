#include "work/stage_request.h"

namespace holdfast {

Json to_json(const StageRequest& request) {
  Json inputs = Json::object();
  for (const auto& [role, input] : request.inputs) inputs[role] = {{"kind", to_string(input.kind)}, {"key", input.key}};
  Json weights = Json::object();
  for (const auto& [role, ref] : request.weights) weights[role] = to_json(ref);
  Json json = {{"kind", to_string(request.kind)},
               {"key", request.key},
               {"document", request.document},
               {"task", request.task},
               {"inputs", inputs},
               {"weights", weights}};
  if (const auto& lease = request.lease) {
    json["lease"] = {{"folder", lease->folder.string()}, {"worker", lease->worker}, {"token", lease->token}};
  }
  return json;
}

StageRequest stage_request_from_json(const Json& json) {
  StageRequest request;
  request.kind = stage_kind(json.at("kind").get<std::string>());
  request.key = json.at("key").get<std::string>();
  request.document = json.at("document");
  request.task = json.at("task");
  for (const auto& [role, input] : json.at("inputs").items()) {
    request.inputs[role] = {stage_kind(input.at("kind").get<std::string>()), input.at("key").get<std::string>()};
  }
  for (const auto& [role, ref] : json.at("weights").items()) request.weights[role] = weights_ref_from_json(ref);
  if (json.contains("lease")) {
    const Json& lease = json.at("lease");
    request.lease = {lease.at("folder").get<std::string>(), lease.at("worker").get<std::string>(),
                     lease.at("token").get<std::int64_t>()};
  }
  return request;
}

}  // namespace holdfast
