// One line of log to standard error; the front end decides what is shown.
#pragma once

#include <holdfast/visibility.h>

#include <string>

namespace HOLDFAST_PUBLIC holdfast {

/// How a stage goes.
void log_info(const std::string& line);
/// What a user should know of.
void log_warning(const std::string& line);

}  // namespace holdfast
