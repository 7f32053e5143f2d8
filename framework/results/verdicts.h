// What a judge said of stored replies: verdicts.jsonl of a judge stage's artifact.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "judge/judge.h"

namespace holdfast {

inline constexpr const char* kVerdictsFile = "verdicts.jsonl";

/// The file's text; one verdict for each id.
std::string verdicts_text(const std::string& judge, const std::vector<std::string>& ids, const std::vector<Verdict>& verdicts);

/// Calls `visit` with each probe's id and outcomes by metric, NaN where one is not finite. Throws Error for a file that is
/// damaged.
void read_verdicts(const fs::path& file,
                   const std::function<void(const std::string& id, const std::map<std::string, double>& outcomes)>& visit);

}  // namespace holdfast
