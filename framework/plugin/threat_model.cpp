#include "plugin/threat_model.h"

#include <holdfast/error.h>

namespace holdfast {

std::string to_string(ThreatModel model) { return model == ThreatModel::kApi ? "api" : "weights"; }

ThreatModel threat_model(const std::string& word) {
  if (word == "api") return ThreatModel::kApi;
  if (word == "weights") return ThreatModel::kWeights;
  throw Error("\"" + word + "\" is no threat model: expected \"api\" or \"weights\"");
}

}  // namespace holdfast
