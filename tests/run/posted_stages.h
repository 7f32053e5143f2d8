// Stages without content, for tests of the way to whoever runs them.
#pragma once

#include <string>

#include "work/stage_request.h"

namespace holdfast {

inline StageRequest stage_named(char letter, StageKind kind = StageKind::kJudge, double seconds = 1) {
  StageRequest stage;
  stage.kind = kind;
  stage.key = std::string(64, letter);
  stage.document = Json::object();
  stage.task = Json::object();
  stage.estimate = {seconds, seconds, 0};
  return stage;
}

}  // namespace holdfast
