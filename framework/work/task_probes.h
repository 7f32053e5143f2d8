// The probes and utility tasks that a stage's task names.
#pragma once

#include "base/json.h"
#include "scenario/probe_rows.h"

namespace holdfast {

/// Of the sources under that name of the task, within its limit.
inline ProbeRows task_probes(const Json& task, const char* sources) {
  std::vector<DataSource> named;
  for (const auto& source : task.at(sources)) named.push_back(data_source_from_json(source));
  return probe_rows(load_probes(named), task.at("limit").get<std::int64_t>());
}

}  // namespace holdfast
