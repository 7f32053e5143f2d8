// A judge made from settings, with what was noted while it read them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/params_state.h"
#include "fakes/judge_context.h"
#include "judge/judge.h"

namespace holdfast {

struct MadeJudge {
  std::shared_ptr<Params::State> state = std::make_shared<Params::State>();
  std::unique_ptr<Judge> judge;

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
  made.judge = make_judge(name, params);
  note_unread(*made.state, name);
  return made;
}

inline JudgedReply judged(const std::string& kind, const std::string& request, const std::string& reply) {
  return {"id", {{"user", request}}, reply, {{"kind", kind}}, {{"user", request}}};
}

}  // namespace holdfast
