// What of run.json is read again; the rest of it is for people.
#pragma once

#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct RunFacts {
  std::map<std::string, std::string> tasks;    // the metric of each utility task that names one, as exports call for it
  std::map<std::string, std::string> samples;  // by generate key: stamp of what its samples file was made of
};

/// Writes <results folder>/run.json: `about`, an object, with the facts among it.
void write_run_file(const fs::path& results_folder, Json about, const RunFacts& facts);

/// None when there is no such file. Throws Error for one that is damaged.
RunFacts read_run_facts(const fs::path& results_folder);

}  // namespace holdfast
