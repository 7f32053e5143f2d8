// A judge of this build's plugins, made from settings, with what was noted while it read them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/params_state.h"
#include "fakes/judge_context.h"
#include "plugin/shipped.h"

namespace holdfast {

using fakes::judged;

struct MadeJudge {
  std::shared_ptr<Params::State> state = std::make_shared<Params::State>();
  std::shared_ptr<Judge> judge;

  /// The mistakes' sentences.
  std::vector<std::string> mistakes() const {
    std::vector<std::string> sentences;
    for (const auto& mistake : state->mistakes) sentences.push_back(mistake.sentence);
    return sentences;
  }
};

inline MadeJudge make(const std::string& name, const Json& settings, const fs::path& folder = {}) {
  MadeJudge made;
  made.state->values = settings;
  made.state->folder = folder;
  Params params(made.state);
  made.judge = shipped(name).make_judge(params);
  note_unread(*made.state, name);
  return made;
}

}  // namespace holdfast
