// Judges that put one question about each harmful probe's reply to a model and read numbers off its answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "judge/asker.h"

namespace holdfast {

struct ReviewQuestion {
  std::string id;                  // what follows the dot in metric ids
  std::string prompt;              // with {policy}, {instruction} and {answer}
  std::string policy;              // stays empty where the prompt has none
  std::string reminder;            // said once more when the model's answer cannot be read
  std::size_t max_characters = 0;  // of the instruction, and of the answer
  /// Outcomes by metric, without the id; nothing when the model's answer cannot be read.
  std::function<std::optional<std::map<std::string, double>>(const std::string& answer)> read;
};

/// Scores harmful probes and leaves the others alone. The model is shown the reply's answer, without thoughts (text/thought.h).
/// A reply whose thought was cut has "asr.<id>" 0 and is not asked about. A reply whose review cannot be read, even the second
/// time, or whose question the service declines has no outcome but "unjudged.<id>", which is 0 for the others. The raw verdict
/// holds every answer of the model with its usage.
std::unique_ptr<Judge> make_review_judge(Asker asker, ReviewQuestion question);

/// The setting "max_characters".
std::size_t read_max_characters(Params& params);

}  // namespace holdfast
