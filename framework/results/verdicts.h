// What a judge said of stored replies: verdicts.jsonl of a judge stage's artifact.
#pragma once

#include <holdfast/judge.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

inline constexpr const char* kVerdictsFile = "verdicts.jsonl";

/// The file's text; one verdict for each id. Throws Error, by the judge's name, for another number of them and for raw JSON
/// that is none.
std::string verdicts_text(const std::string& judge, const std::vector<std::string>& ids, const std::vector<Verdict>& verdicts);

/// Calls `visit` with each probe's id and outcomes by metric, NaN where one is not finite. Throws Error for a file that is
/// damaged.
void read_verdicts(const fs::path& file,
                   const std::function<void(const std::string& id, const std::map<std::string, double>& outcomes)>& visit);

}  // namespace holdfast
