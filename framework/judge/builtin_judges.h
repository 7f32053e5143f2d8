// Judges that are part of the matrix itself: they know what it asks (the organism's facts, utility tasks), or no matrix goes
// without them (coherence). All others are plugins.
#pragma once

#include <holdfast/judge.h>

#include <filesystem>
#include <memory>

#include "base/json.h"

namespace holdfast {

struct JudgeInfo {
  std::string name;
  int revision;  // part of the judge stage's key
  std::string summary;
};
const std::vector<JudgeInfo>& builtin_judges();
/// Null when there is none of that name.
const JudgeInfo* find_builtin_judge(const std::string& name);

/// One of them, by name; mistakes of its settings are noted there (params_state.h).
std::unique_ptr<Judge> make_builtin_judge(const std::string& name, Params& params);
/// The same once more from the settings of the plan (base/planned_settings.h).
std::unique_ptr<Judge> made_builtin_judge(const Json& settings, const std::filesystem::path& folder);

std::unique_ptr<Judge> make_organism_judge(Params& params);
std::unique_ptr<Judge> make_coherence_judge(Params& params);
std::unique_ptr<Judge> make_tasks_judge(Params& params);

}  // namespace holdfast
