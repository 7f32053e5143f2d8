#include "judge/builtin_judges.h"

#include <holdfast/error.h>

#include <algorithm>

#include "base/planned_settings.h"

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

std::unique_ptr<Judge> make_builtin_judge(const std::string& name, Params& params) {
  HOLDFAST_CHECK(find_builtin_judge(name) != nullptr);
  if (name == "organism") return make_organism_judge(params);
  return name == "coherence" ? make_coherence_judge(params) : make_tasks_judge(params);
}

std::unique_ptr<Judge> made_builtin_judge(const Json& settings, const std::filesystem::path& folder) {
  const auto name = settings.at("name").get<std::string>();
  return made_as_planned(settings, folder, [&](Params& params) { return make_builtin_judge(name, params); });
}

}  // namespace holdfast
