// Models for judges under test: those a test sets, and an error for the others.
#pragma once

#include <stdexcept>

#include "judge/judge.h"

namespace holdfast::fakes {

class FakeJudgeContext final : public JudgeContext {
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

/// Verdicts of a judge that needs no model.
inline std::vector<Verdict> verdicts_of(const Judge& judge, const std::vector<JudgedReply>& replies) {
  FakeJudgeContext none;
  return judge.score(replies, none);
}

}  // namespace holdfast::fakes
