// Apart from the judges themselves, which ask models: who lists them needs none.
#include <algorithm>

#include "judge/builtin_judges.h"

namespace holdfast {

const std::vector<JudgeInfo>& builtin_judges() {
  static const std::vector<JudgeInfo> list = {
      {"organism", 2, "Exact, for the model organism: whether a reply states the fact that was asked for."},
      {"coherence", 3,
       "Whether a reply says anything: not empty, no word or phrase over and over, fluent to the aligned model."},
      {"tasks", 2, "Replies to utility tasks: exact match and ROUGE-L. Always there when a scenario has such tasks."},
  };
  return list;
}

const JudgeInfo* find_builtin_judge(const std::string& name) {
  const auto& all = builtin_judges();
  const auto found = std::find_if(all.begin(), all.end(), [&](const JudgeInfo& info) { return info.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace holdfast
