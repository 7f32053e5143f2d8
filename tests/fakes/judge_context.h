// Models for judges under test: those a test sets, and an error for the others.
#pragma once

#include <stdexcept>

#include "judge/coherence.h"
#include "judge/json_object.h"
#include "judge/judge_models.h"

namespace holdfast::fakes {

class FakeJudgeContext final : public JudgeModels {
 public:
  const LanguageModel& aligned_model() override { return given(aligned, "aligned"); }
  const LanguageModel& served_model() override { return given(served, "served"); }
  const LanguageModel& judge_model() override { return given(judge, "judge"); }

  const LanguageModel* aligned = nullptr;
  const LanguageModel* served = nullptr;
  const LanguageModel* judge = nullptr;

 private:
  static const LanguageModel& given(const LanguageModel* model, const char* name) {
    if (model == nullptr) throw std::logic_error(std::string("the judge asks for the ") + name + " model");
    return *model;
  }
};

/// Replies as a stage hands them to a judge.
inline std::vector<JudgedReply> read(std::vector<JudgedReply> replies) {
  for (auto& reply : replies) reply = read_reply(std::move(reply));
  return replies;
}

inline JudgedReply judged(const std::string& kind, const std::string& request, const std::string& reply) {
  return read_reply({"id", {{"user", request}}, reply, {{"kind", kind}}, {{"user", request}}});
}

/// Verdicts of a judge that needs no model.
inline std::vector<Verdict> verdicts_of(const Judge& judge, const std::vector<JudgedReply>& replies) {
  FakeJudgeContext none;
  return judge.score(read(replies), none);
}

/// The raw verdict as it is stored.
inline Json raw(const Verdict& verdict) { return to_json(verdict.raw); }

}  // namespace holdfast::fakes
