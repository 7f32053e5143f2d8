// Who holds the model that an attack makes.
#pragma once

#include <string>

namespace holdfast {

enum class ThreatModel {
  kApi,      // a provider tunes and serves it: every stage of a defense stands
  kWeights,  // the attacker holds its weights: what acts after they were given away does not
};

/// "api" or "weights".
std::string to_string(ThreatModel model);

/// The inverse. Throws Error for another word.
ThreatModel threat_model(const std::string& word);

}  // namespace holdfast
