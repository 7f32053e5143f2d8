#include "store/weights_ref.h"

namespace holdfast {

Json to_json(const WeightsRef& weights) {
  Json chain = Json::array();
  for (const auto& link : weights.chain) {
    chain.push_back({{"kind", to_string(link.kind)}, {"key", link.key}, {"digest", link.digest}});
  }
  return {{"source", weights.source},
          {"device", weights.device},
          {"dtype", weights.dtype},
          {"base", weights.base},
          {"chain", chain}};
}

WeightsRef weights_ref_from_json(const Json& json) {
  WeightsRef weights;
  json.at("source").get_to(weights.source);
  json.at("device").get_to(weights.device);
  json.at("dtype").get_to(weights.dtype);
  json.at("base").get_to(weights.base);
  for (const auto& link : json.at("chain")) {
    weights.chain.push_back({stage_kind(link.at("kind").get<std::string>()), link.at("key").get<std::string>(),
                             link.at("digest").get<std::string>()});
  }
  return weights;
}

}  // namespace holdfast
