// The secrets of a service's customers, before anything else is read.
#pragma once

#include <map>
#include <string>

#include "base/file.h"

namespace holdfast {

/// By the name of the environment variable; empty where it is not set.
using ServiceKeys = std::map<std::string, std::string>;

/// Takes the variables that the file's [[service.customer]] name out of the environment. To be called before a scenario is read
/// (scenario/scenario.h), which starts a process that runs plugins' code: that and no later one inherits them. What is wrong
/// with the file is left to whoever reads it. Throws Error for a file that cannot be read or is no TOML.
ServiceKeys take_service_keys(const fs::path& scenario);

}  // namespace holdfast
