// What else was tried: the log that goes with an entry.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/store.h"

namespace holdfast {

/// One setting of a defense plugin that has stages in a store.
struct Try {
  Json plugin;  // {"name", "revision", "settings"}
  std::int64_t stages = 0;
  bool submitted = false;  // it is one of the entry's
};

/// Of every defense plugin of the scenario (as run.json has it) each setting that the store knows of, whatever scenario it was
/// tried in; in order of their canonical JSON.
std::vector<Try> tries(const Store& store, const Json& scenario);

Json to_json(const Try& tried);

/// By plugin, how many settings were tried.
std::map<std::string, std::int64_t> counted(const std::vector<Try>& tries);

}  // namespace holdfast
