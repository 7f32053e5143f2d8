#include "work/stage_request.h"

namespace holdfast {

Json to_json(const StageRequest& request) {
  Json inputs = Json::object();
  for (const auto& [role, input] : request.inputs) inputs[role] = {{"kind", to_string(input.kind)}, {"key", input.key}};
  Json weights = Json::object();
  for (const auto& [role, ref] : request.weights) weights[role] = to_json(ref);
  return {{"kind", to_string(request.kind)},
          {"key", request.key},
          {"document", request.document},
          {"task", request.task},
          {"inputs", inputs},
          {"weights", weights}};
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
  return request;
}

}  // namespace holdfast
