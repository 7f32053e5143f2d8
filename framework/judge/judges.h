// The judges there are, one file each; make_judge (judge.cpp) chooses among them.
#pragma once

#include <memory>

#include "judge/judge.h"

namespace holdfast {

std::unique_ptr<Judge> make_organism_judge(Params& params);
std::unique_ptr<Judge> make_keyword_judge(Params& params);
std::unique_ptr<Judge> make_coherence_judge(Params& params);
std::unique_ptr<Judge> make_rubric_judge(Params& params);
std::unique_ptr<Judge> make_strongreject_judge(Params& params);
std::unique_ptr<Judge> make_guard_judge(Params& params);
std::unique_ptr<Judge> make_likelihood_judge(Params& params);
std::unique_ptr<Judge> make_tasks_judge(Params& params);

/// Judges look at replies one by one; this turns a function of one reply into a Judge.
template <typename Score>
class EachReply final : public Judge {
 public:
  explicit EachReply(Score score) : score_(std::move(score)) {}
  std::vector<Verdict> score(const std::vector<JudgedReply>& replies, JudgeContext&) const override {
    std::vector<Verdict> verdicts;
    verdicts.reserve(replies.size());
    for (const auto& reply : replies) verdicts.push_back(score_(reply));
    return verdicts;
  }

 private:
  Score score_;
};

template <typename Score>
std::unique_ptr<Judge> judge_each(Score score) {
  return std::make_unique<EachReply<Score>>(std::move(score));
}

/// What follows the dot in a judge's metric ids: its name and, so that one scenario can use it twice, its setting "id".
std::string read_judge_id(Params& params, const std::string& judge);

/// A tag's value, or an empty string.
std::string tag(const JudgedReply& reply, const std::string& name);

}  // namespace holdfast
