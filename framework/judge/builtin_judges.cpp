#include "judge/builtin_judges.h"

#include <holdfast/error.h>

#include "base/planned_settings.h"

namespace holdfast {

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
